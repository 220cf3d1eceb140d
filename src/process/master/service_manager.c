#include "process/master/service_manager.h"
#include <stdarg.h>
#include <time.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/parse.h"

#define SIGN_MS 10000 /* how often, if the manager doesn't say */
/* The time that a start may still take after each sign of life: a recovery may be long. */
#define START_MORE_US "60000000"

static const char *const manager_variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
#define MANAGER_VARIABLES (sizeof manager_variables / sizeof *manager_variables)

static void
tell_manager(const struct service_manager *m, const char *fmt, ...)
{
    char text[128];
    va_list ap;
    int n;

    if (m->socket < 0)
        return;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (sendto(m->socket, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT,
               (const struct sockaddr *)&m->to, m->to_n) < 0)
        log_line(LOG_DEBUG, "the service manager wasn't told", "message=%s", text);
}

/* "@name" is in the abstract namespace. */
static bool
set_manager_address(struct service_manager *m, const char *name)
{
    size_t n = strlen(name);

    if ((*name != '/' && *name != '@') || n < 2 || n >= sizeof m->to.sun_path)
        return false;
    m->to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(m->to.sun_path, name, n);
    if (*name == '@')
        m->to.sun_path[0] = '\0';
    m->to_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

/* A sign of life in half of the time after which the manager gives the service up. */
static void
read_watchdog(struct service_manager *m)
{
    const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t n;

    m->every_ms = SIGN_MS;
    if (pid != NULL && (!parse_u64(pid, strlen(pid), &n) || n != (uint64_t)getpid()))
        return;
    if (time == NULL || !parse_u64(time, strlen(time), &n) || n == 0)
        return;
    m->watched = true;
    m->every_ms = n / 2000 > 0 ? n / 2000 : 1;
}

void
service_manager_init(struct service_manager *m, struct loop *loop)
{
    const char *name = getenv("NOTIFY_SOCKET");

    *m = (struct service_manager){.socket = -1, .loop = loop};
    loop_timer_init(&m->due, loop, NULL, NULL);
    if (name != NULL && set_manager_address(m, name)) {
        m->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        read_watchdog(m);
    } else if (name != NULL) {
        log_line(LOG_WARN, "the service manager can't be told anything", "NOTIFY_SOCKET=%s", name);
    }
    for (size_t i = 0; i < MANAGER_VARIABLES; i++) {
        const char *value = getenv(manager_variables[i]);

        m->variables[i] = value != NULL ? mem_strdup(value) : NULL;
        unsetenv(manager_variables[i]);
    }
    if (m->socket >= 0)
        loop_timer_at(&m->due, loop_now(loop) + m->every_ms);
}

void
service_manager_free(struct service_manager *m)
{
    loop_timer_stop(&m->due);
    fdio_close(m->socket);
    m->socket = -1;
    for (size_t i = 0; i < MANAGER_VARIABLES; i++)
        free(m->variables[i]);
}

void
service_manager_hand_over(const struct service_manager *m)
{
    for (size_t i = 0; i < MANAGER_VARIABLES; i++)
        if (m->variables[i] != NULL)
            setenv(manager_variables[i], m->variables[i], 1);
}

void
service_manager_ready(struct service_manager *m)
{
    tell_manager(m, "READY=1\nSTATUS=Serving\n");
}

void
service_manager_reloading(struct service_manager *m)
{
    struct timespec now;

    /* systemd compares it with the time of its signal: milliseconds would be too old. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    tell_manager(m, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reading users and rules again\n",
                 (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
}

void
service_manager_stopping(struct service_manager *m)
{
    tell_manager(m, "STOPPING=1\nSTATUS=Stopping\n");
}

void
service_manager_tick(struct service_manager *m, bool starting, bool alive)
{
    uint64_t now = loop_now(m->loop);

    if (m->socket < 0 || now < m->due.at)
        return;
    loop_timer_at(&m->due, now + m->every_ms);
    if (starting)
        tell_manager(m, "EXTEND_TIMEOUT_USEC=" START_MORE_US "\nSTATUS=Starting\n");
    if (m->watched && alive)
        tell_manager(m, "WATCHDOG=1\n");
}
