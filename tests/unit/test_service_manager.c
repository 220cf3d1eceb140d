#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "process/master/service_manager.h"

/* Signs of life follow from what the master says of itself. */

struct fixture {
    struct loop loop;
    struct service_manager manager;
    int socket;
    char dir[32];
    char path[48];
};

static void
begin_manager(struct fixture *f, const char *watchdog_us)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    memcpy(f->dir, "/tmp/manager-XXXXXX", sizeof "/tmp/manager-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/notify", f->dir);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", f->path);
    f->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->socket, (struct sockaddr *)&a, sizeof a), 0);
    setenv("NOTIFY_SOCKET", f->path, 1);
    if (watchdog_us != NULL)
        setenv("WATCHDOG_USEC", watchdog_us, 1);
    loop_init(&f->loop);
    service_manager_init(&f->manager, &f->loop);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
}

static void
end_manager(struct fixture *f)
{
    service_manager_free(&f->manager);
    loop_free(&f->loop);
    close(f->socket);
    unlink(f->path);
    rmdir(f->dir);
}

/* The next message, or "". */
static const char *
next_message(struct fixture *f)
{
    static char text[256];
    ssize_t n = recv(f->socket, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* What is said when it is due. */
static const char *
tick_when_due(struct fixture *f, bool starting, bool alive)
{
    f->loop.now = f->manager.due.at;
    service_manager_tick(&f->manager, starting, alive);
    return next_message(f);
}

static void
gives_signs_of_life(void **state)
{
    struct fixture f;
    uint64_t first;

    (void)state;
    begin_manager(&f, "20000000");
    first = f.manager.due.at;
    assert_int_equal(first - loop_now(&f.loop), 10000); /* half of the time */
    service_manager_tick(&f.manager, false, true);
    assert_string_equal(next_message(&f), ""); /* not due */
    assert_string_equal(tick_when_due(&f, false, true), "WATCHDOG=1\n");
    assert_int_equal(f.manager.due.at - first, 10000);
    service_manager_tick(&f.manager, false, true);
    assert_string_equal(next_message(&f), "");
    assert_string_equal(tick_when_due(&f, false, false), ""); /* the keeper is gone */
    assert_string_equal(tick_when_due(&f, false, true), "WATCHDOG=1\n");
    assert_string_equal(tick_when_due(&f, true, true),
                        "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=Starting\n");
    assert_string_equal(next_message(&f), "WATCHDOG=1\n");
    end_manager(&f);
}

static void
has_no_watchdog(void **state)
{
    static const char *const none[] = {NULL, "", "0", "1s", "-1"};

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct fixture f;

        begin_manager(&f, none[i]);
        assert_string_equal(tick_when_due(&f, false, true), "");
        assert_string_equal(tick_when_due(&f, true, true),
                            "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=Starting\n");
        assert_string_equal(next_message(&f), "");
        end_manager(&f);
    }
}

static void
tells_nobody(void **state)
{
    struct service_manager m;
    struct loop loop;

    (void)state;
    loop_init(&loop);
    service_manager_init(&m, &loop);
    service_manager_ready(&m);
    service_manager_tick(&m, true, true);
    service_manager_free(&m);
    loop_free(&loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_signs_of_life),
        cmocka_unit_test(has_no_watchdog),
        cmocka_unit_test(tells_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
