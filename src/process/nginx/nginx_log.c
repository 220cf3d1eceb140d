#include "process/nginx/nginx_log.h"
#include <ctype.h>
#include <errno.h>
#include <unistd.h>
#include "storage/files/audit_file.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"

#define HOUR_MS (60 * 60 * UINT64_C(1000))

/* nginx warns of this at each large manifest. */
#define BUFFERED "a client request body is buffered to a temporary file"

/* "2026/11/23 17:00:00 [warn] 12#12: *3 text", or "nginx: [emerg] text" before the log is open. */
char *
nginx_log_split(char *line, const char **severity)
{
    char *open, *close, *text;
    size_t digits;
    bool dated;

    *severity = "";
    open = strchr(line, '[');
    close = open != NULL ? strchr(open, ']') : NULL;
    if (close == NULL || close[1] != ' ')
        return line;
    for (const char *c = open + 1; c < close; c++)
        if (!islower((unsigned char)*c))
            return line;
    /* A user name can have a line end, and thereby begin a line, but it has no colon. */
    dated = isdigit((unsigned char)*line) &&
            open - line == (ptrdiff_t)strlen("2026/11/23 17:00:00 ") && line[13] == ':' &&
            line[16] == ':';
    if (!dated && strncmp(line, "nginx: [", 8) != 0)
        return line;
    *close = '\0';
    *severity = open + 1;
    text = close + 2;
    digits = strspn(text, "0123456789#");
    return dated && digits > 0 && strncmp(text + digits, ": ", 2) == 0 ? text + digits + 2 : text;
}

static enum log_level
level_of(const char *severity)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {
        {"error", LOG_WARN}, /* caused by a client: a wrong password, a body that is too large */
        {"warn", LOG_WARN},  {"notice", LOG_DEBUG}, {"info", LOG_DEBUG}, {"debug", LOG_DEBUG},
    };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(severity, levels[i].name) == 0)
            return levels[i].level;
    return *severity != '\0' ? LOG_ERROR : LOG_WARN;
}

/* The part behind ", client: " has texts of the client. */
static bool
tells_of_full_disk(const char *text)
{
    const char *why = strstr(text, "(28: No space left on device)");
    const char *client = strstr(text, ", client: ");

    return why != NULL && (client == NULL || why < client);
}

/* A worker that had to finish its requests, and now has to end at once, names each connection. */
static bool
tells_of_cut_off(const char *severity, const char *text)
{
    return strcmp(severity, "alert") == 0 &&
           (strstr(text, " left in connection ") != NULL || strcmp(text, "aborting") == 0);
}

static enum log_level
level_of_line(const struct nginx_log *l, const char *severity, const char *text)
{
    /* The keeper tells of a full disk, once a minute. */
    if (tells_of_full_disk(text) || (l->cutting_off && tells_of_cut_off(severity, text)))
        return LOG_DEBUG;
    return level_of(severity);
}

/* The arguments of a request can be passwords and tokens. From each question mark in what nginx has
 * of the client, the line is blank up to the end of the request line, or to its own end. */
static void
blank_arguments(char *text)
{
    char *p = text;

    while ((p = strchr(p, '?')) != NULL) {
        char *end = strstr(p, " HTTP/");

        p++;
        if (end == NULL)
            *p = '\0';
        else
            memmove(p, end, strlen(end) + 1);
    }
}

static void
relay_line(struct nginx_log *l)
{
    char address[WRONG_PASSWORDS_ADDRESS];
    const char *severity;
    char *text;

    l->line[l->n] = '\0';
    l->n = 0;
    text = nginx_log_split(l->line, &severity);
    if (*text == '\0' || strstr(text, BUFFERED) != NULL)
        return;
    if (strcmp(severity, "emerg") == 0)
        snprintf(l->worst, sizeof l->worst, "%s", text);
    if (wrong_passwords_take(&l->wrong, text, clock_mono_ms())) {
        wrong_passwords_take(&l->to_audit, text, clock_mono_ms());
        metrics_count(l->counts, METRIC_LOGINS_FAILED, 0, 1);
        if (wrong_password_address(text, address))
            guessers_count(&l->guessers, address, clock_mono_ms());
        return;
    }
    blank_arguments(text);
    log_client_line(level_of_line(l, severity, text), "nginx", "severity=%s text=%s",
                    *severity != '\0' ? severity : "-", text);
}

/* So the file has a few entries an hour for each place, however many guesses there are. */
static void
write_failed_logins(const struct wrong_passwords_of *of, void *arg)
{
    const struct nginx_log *l = arg;
    struct audit_line line = {.time = clock_wall_ms(), .what = "login-failed", .times = of->times};
    struct err err;

    snprintf(line.user, sizeof line.user, "%s", of->user);
    snprintf(line.about, sizeof line.about, "%s", of->address);
    if (l->audit >= 0 && audit_file_append(l->audit, AUDIT_FILE_LOGINS, &line, &err) != 0)
        log_client_line(LOG_WARN, "a wrong password isn't in the audit", "why=%s", err.message);
}

void
nginx_log_init(struct nginx_log *l, int dirfd, struct metrics_place *counts)
{
    *l = (struct nginx_log){.fd = -1, .audit = dirfd, .counts = counts};
    l->to_audit.period_ms = HOUR_MS;
    l->to_audit.tell = write_failed_logins;
    l->to_audit.arg = l;
}

void
nginx_log_open(struct nginx_log *l, int fd)
{
    l->fd = fd;
    l->n = 0;
    l->worst[0] = '\0';
    l->cutting_off = false;
}

void
nginx_log_read(struct nginx_log *l)
{
    char block[4096];
    ssize_t got;

    if (l->fd < 0)
        return;
    got = read(l->fd, block, sizeof block);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        fdio_close(l->fd); /* all of nginx is gone */
        l->fd = -1;
    }
    for (ssize_t i = 0; i < got; i++) {
        if (block[i] == '\n')
            relay_line(l);
        else if (l->n < sizeof l->line - 1)
            l->line[l->n++] = block[i];
    }
}

void
nginx_log_tend(struct nginx_log *l)
{
    wrong_passwords_tell(&l->wrong, clock_mono_ms());
    wrong_passwords_tell(&l->to_audit, clock_mono_ms());
    guessers_tend(&l->guessers, clock_mono_ms());
}

void
nginx_log_close(struct nginx_log *l)
{
    for (int i = 0; i < 64 && l->fd >= 0; i++)
        nginx_log_read(l);
    if (l->n > 0)
        relay_line(l);
    fdio_close(l->fd);
    l->fd = -1;
    wrong_passwords_tell(&l->to_audit, clock_mono_ms() + HOUR_MS); /* as if it were over */
}
