#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "process/master/control_door.h"
#include "util/fdio.h"

/* Packets by a process that may connect. */

static struct loop loop;
static struct control_door *door;
static int listening;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_n;

static int
open_door(void **state)
{
    (void)state;
    loop_init(&loop);
    /* A name without a file: the kernel chooses it. */
    listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    address_n = sizeof address;
    if (bind(listening, (struct sockaddr *)&address, sizeof address.sun_family) != 0 ||
        listen(listening, 8) != 0 ||
        getsockname(listening, (struct sockaddr *)&address, &address_n) != 0)
        return -1;
    door = calloc(1, sizeof *door);
    control_door_open(door, &loop, listening);
    return 0;
}

static int
close_door(void **state)
{
    (void)state;
    control_door_close(door);
    free(door);
    close(listening);
    loop_free(&loop);
    return 0;
}

static size_t
open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void
send_packet(int to, const char *text, size_t n, size_t fds_n)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(20 * sizeof(int))];
    } control = {.room = {0}};
    struct iovec v = {.iov_base = (char *)text, .iov_len = n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    struct cmsghdr *c;

    if (fds_n > 0) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(fds_n * sizeof(int));
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds_n * sizeof(int));
        for (size_t i = 0; i < fds_n; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &listening, sizeof(int));
    }
    assert_true(sendmsg(to, &m, 0) >= 0);
}

/* Connects, sends the packet, and lets the door take it. */
static void
pass_packet(const char *text, size_t n, size_t fds_n)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct err err;

    assert_int_equal(connect(fd, (struct sockaddr *)&address, address_n), 0);
    send_packet(fd, text, n, fds_n);
    assert_int_equal(loop_wait(&loop, &err), 0);
    assert_int_equal(loop_wait(&loop, &err), 0);
    close(fd);
}

static void
a_command_keeps_its_descriptors_until_it_is_done(void **state)
{
    size_t before = open_descriptors();
    struct control_door_request *r;

    (void)state;
    pass_packet("hooks", 6, 4);
    r = control_door_ready(door);
    assert_non_null(r);
    assert_int_equal(open_descriptors(), before + 1 + 4);
    control_door_done(r, NULL);
    assert_null(control_door_ready(door));
    assert_int_equal(open_descriptors(), before);
}

static void
refused_packets_leave_no_descriptors(void **state)
{
    size_t before = open_descriptors();
    char *large = calloc(1, CONTROL_PACKET_MAX + 1);

    (void)state;
    for (size_t n = 0; n <= 20; n++) {
        pass_packet("hooks", 5, n); /* without its NUL */
        pass_packet("", 0, n);
        pass_packet(large, CONTROL_PACKET_MAX + 1, n);
        if (n != 4)
            pass_packet("hooks", 6, n);
        assert_null(control_door_ready(door));
        assert_int_equal(open_descriptors(), before);
    }
    free(large);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_command_keeps_its_descriptors_until_it_is_done, open_door,
                                        close_door),
        cmocka_unit_test_setup_teardown(refused_packets_leave_no_descriptors, open_door,
                                        close_door),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
