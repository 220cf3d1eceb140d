#pragma once

#include "storage/kv/kv_open.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "store_place.h"
#include "util/clock.h"
#include "util/fdio.h"

/* For all tests of the database. */

/* Each test has a fresh store in db/ of a temporary directory. */

enum { A, B, Q, COUNT };

static const struct kv_table defs[COUNT] = {
    [A] = {.name = "a", .page_size = 4096},
    [B] = {.name = "b", .page_size = 4096},
    [Q] = {.name = "q", .kind = KV_QUEUE, .record_size = 1000},
};

static char home[64];
static struct err err;

static inline void
lost(const char *why)
{
    fprintf(stderr, "lost: %s\n", why);
    _exit(70);
}

static inline struct kv *
open_kv(struct kv_slot *slot)
{
    struct kv *kv = kv_open(store_place(), defs, COUNT, slot, lost, &err);
    if (kv == NULL)
        fprintf(stderr, "kv_open: %s\n", err.message);
    assert_non_null(kv);
    return kv;
}

static inline int
setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(home, sizeof home, "%s/test_kv.XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(home) == NULL || chdir(home) != 0)
        return -1;
    *state = NULL;
    if (store_place_clear(&err) != 0)
        return -1;
    return kv_recover(store_place(), defs, COUNT, &err);
}

static inline int
teardown(void **state)
{
    (void)state;
    return chdir("/") != 0 ? -1 : fdio_remove_tree(AT_FDCWD, home, &err);
}

/* ---- one operation in a transaction of its own ---- */

struct op {
    unsigned table;
    const char *key;
    struct bytes val;
    uint32_t seq;
    bool fail;
};

static inline int
put_fn(struct txn *t, void *arg, struct err *e)
{
    struct op *o = arg;
    return kv_put(t, o->table, bytes_str(o->key), o->val, e);
}

static inline void
put(struct kv *kv, unsigned table, const char *key, const char *val)
{
    struct op o = {.table = table, .key = key, .val = bytes_str(val)};
    assert_int_equal(txn_run(kv, put_fn, &o, &err), 0);
}

static inline void
expect(struct kv *kv, unsigned table, const char *key, const char *val)
{
    struct buf b;
    buf_init(&b, 100);
    int ret = kv_get(kv_reads(kv), table, bytes_str(key), &b, &err);
    assert_int_equal(ret, val != NULL);
    if (val != NULL)
        assert_string_equal(buf_text(&b), val);
    buf_free(&b);
}

static inline uint32_t
seq_of(struct bytes key)
{
    const uint8_t *p = key.p;
    assert_int_equal(key.n, 4);
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* All keys from `from` on, with blanks between; of a queue "number:value". */
static inline const char *
keys_from(struct txn *t, unsigned table, struct bytes from)
{
    static struct buf b;
    struct kv_cursor *c;
    int ret;

    buf_free(&b);
    buf_init(&b, 10000);
    assert_int_equal(kv_cursor_open(t, table, &c, &err), 0);
    for (ret = kv_cursor_seek(c, &(struct kv_range){.from = from}, &err); ret == 1;
         ret = kv_cursor_next(c, &err)) {
        if (table == Q)
            buf_putf(&b, "%u:", seq_of(kv_cursor_key(c)));
        struct bytes v = table == Q ? kv_cursor_val(c) : kv_cursor_key(c);
        buf_put(&b, v.p, v.n);
        buf_putc(&b, ' ');
    }
    assert_int_equal(ret, 0);
    assert_int_equal(kv_cursor_next(c, &err), 0);
    kv_cursor_close(c);
    return buf_text(&b);
}

/* ---- children ---- */

/* In a child, where cmocka's assertions would return into the parent's tests. */
#define CHECK(x)                                                                      \
    do {                                                                              \
        if (!(x)) {                                                                   \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #x, err.message); \
            _exit(1);                                                                 \
        }                                                                             \
    } while (0)

static inline pid_t
spawn(void (*fn)(void *), void *arg)
{
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30);
        fn(arg);
        _exit(0);
    }
    return pid;
}

static inline void
join(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static inline void *
shared(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    return p;
}

/* Until *flag is at least n; false after 20 s. */
static inline bool
wait_for(atomic_int *flag, int n)
{
    for (int i = 0; i < 20000; i++) {
        if (atomic_load(flag) >= n)
            return true;
        clock_sleep_ms(1);
    }
    return false;
}
