#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "process/herald/herald_protocol.h"

static struct herald_message made, got;

static void
fill(char *out, size_t n)
{
    memset(out, 'x', n);
    out[n] = '\0';
}

/* The largest packet of each kind. */
static void
make(enum herald_message_type type)
{
    made = (struct herald_message){.type = type, .seq = 0xfffffffe, .id = 0x01020304, .tries = 7};
    made.ok = made.gone = true;
    fill(made.repository, RECORD_REPOSITORY_MAX);
    fill(made.line, RECORD_HOOK_LINE_MAX);
    made.n = type == HERALD_RUN ? 1 : HERALD_EVENTS_MAX;
    for (size_t i = 0; i < made.n; i++) {
        struct rec_event *e = &made.events[i].event;
        made.events[i].seq = (uint32_t)i + 1;
        *e = (struct rec_event){.type = EVENT_TAG, .time = 5};
        e->id = e->digest = e->old = (struct digest){.algo = DIGEST_SHA512, .bytes = {1}};
        fill(e->repository, RECORD_REPOSITORY_MAX);
        fill(e->tag, RECORD_TAG_MAX);
        fill(e->media_type, RECORD_TYPE_MAX);
        fill(e->actor, RECORD_ACTOR_MAX);
    }
}

static struct buf
encoded(const struct herald_message *f)
{
    struct buf b;
    buf_init(&b, HERALD_PACKET_MAX);
    herald_protocol_encode(&b, f);
    assert_true(buf_ok(&b));
    return b;
}

static void
every_packet_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    for (int type = 1; type < HERALD_LAST; type++) {
        struct err err;
        make((enum herald_message_type)type);
        struct buf one = encoded(&made);
        memset(&got, 0xaa, sizeof got);
        assert_int_equal(herald_protocol_decode(&got, buf_bytes(&one), &err), 0);
        struct buf two = encoded(&got);
        assert_true(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
        buf_free(&one);
        buf_free(&two);
    }
    make(HERALD_DONE);
    struct err err;
    struct buf b = encoded(&made);
    assert_int_equal(herald_protocol_decode(&got, buf_bytes(&b), &err), 0);
    assert_int_equal(got.seq, 0xfffffffe);
    assert_true(got.ok);
    assert_string_equal(got.repository, made.repository);
    assert_string_equal(got.line, made.line);
    buf_free(&b);
}

static int
decode_exact(const void *p, size_t n)
{
    struct err err = {.code = ERR_NONE};
    char *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, p, n);
    int rc = herald_protocol_decode(&got, bytes_of(copy, n), &err);
    assert_true(rc == 0 || err.code == ERR_CORRUPT);
    free(copy);
    return rc;
}

static void
what_is_cut_or_too_long_is_refused(void **state)
{
    (void)state;
    for (int type = 1; type < HERALD_LAST; type++) {
        make((enum herald_message_type)type);
        struct buf b = encoded(&made);
        for (size_t n = 0; n < b.n; n++)
            assert_int_equal(decode_exact(b.p, n), -1);
        assert_int_equal(decode_exact(b.p, b.n), 0);
        buf_free(&b);
        buf_init(&b, HERALD_PACKET_MAX + 1);
        herald_protocol_encode(&b, &made);
        buf_putc(&b, 'x');
        assert_int_equal(decode_exact(b.p, b.n), -1);
        buf_free(&b);
    }
}

static void
numbers_out_of_bounds_are_refused(void **state)
{
    (void)state;
    char packet[] = {0, 0, 0, 0, 1};
    for (int type = 0; type < 256; type++) {
        packet[0] = (char)type;
        bool number = type == HERALD_HELLO || type == HERALD_SEEN || type == HERALD_TAKEN;
        assert_int_equal(decode_exact(packet, sizeof packet), number ? 0 : -1);
        bool bare = type == HERALD_KEEPER || type == HERALD_LOOK || type == HERALD_LEAD ||
                    type == HERALD_FOLLOW;
        assert_int_equal(decode_exact(packet, 1), bare ? 0 : -1);
    }
    make(HERALD_EVENTS);
    made.n = 0;
    struct buf b = encoded(&made);
    b.p[b.n - 1] = HERALD_EVENTS_MAX + 1;
    assert_int_equal(decode_exact(b.p, b.n), -1);
    buf_free(&b);
    make(HERALD_RUN);
    made.n = 0;
    b = encoded(&made);
    assert_int_equal(decode_exact(b.p, b.n), -1);
    buf_free(&b);
}

static void
a_line_that_is_full_keeps_one_packet_and_loses_none(void **state)
{
    (void)state;
    struct herald_line one, other;
    int fds[2];
    uint32_t sent = 0, seen = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
    herald_protocol_open(&one, fds[0]);
    herald_protocol_open(&other, fds[1]);
    make(HERALD_EVENTS);
    while (herald_protocol_is_free(&one)) {
        made.seq = ++sent;
        assert_int_equal(herald_protocol_send(&one, &made), 0);
    }
    assert_int_equal(herald_protocol_flush(&one), 0);
    assert_false(herald_protocol_is_free(&one));
    while (herald_protocol_receive(&other, &got) == 1) {
        assert_int_equal(got.seq, ++seen);
        assert_int_equal(herald_protocol_flush(&one), 0);
    }
    assert_int_equal(seen, sent);
    assert_true(herald_protocol_is_free(&one));
    herald_protocol_close(&one);
    assert_int_equal(herald_protocol_receive(&other, &got), -1);
    assert_int_equal(other.fd, -1);
    herald_protocol_close(&other);
}

static void
nonsense_ends_a_line(void **state)
{
    (void)state;
    struct herald_line l;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
    herald_protocol_open(&l, fds[0]);
    assert_int_equal(write(fds[1], "nonsense", 8), 8);
    assert_int_equal(herald_protocol_receive(&l, &got), -1);
    assert_int_equal(l.fd, -1);
    close(fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_packet_comes_back_as_it_was_sent),
        cmocka_unit_test(what_is_cut_or_too_long_is_refused),
        cmocka_unit_test(numbers_out_of_bounds_are_refused),
        cmocka_unit_test(a_line_that_is_full_keeps_one_packet_and_loses_none),
        cmocka_unit_test(nonsense_ends_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
