#include "store_fixture.h"
#include "store_place.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/v1/image_named.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"

/* Lists of manifests that have an id, read while another process proves one of them: it is in each
 * list, or an image that only claims the id would be shown in its place. */

#define REPO 7
#define ROUNDS 1500

struct proving {
    struct digest id, manifest;
    atomic_uint stage; /* odd: the manifest has the id */
    atomic_bool is_over;
};

static void
lost_store(const char *why)
{
    fprintf(stderr, "the store is lost: %s\n", why);
    _exit(70);
}

static struct edge
edge_of(const struct proving *p, enum edge_kind kind)
{
    return (struct edge){.to = p->id, .kind = kind, .repo = REPO, .from = p->manifest};
}

static int
put_manifest(struct txn *t, void *arg, struct err *err)
{
    const struct proving *p = arg;
    struct rec_manifest r = {.size = 2, .pushed = 1};

    return tbl_manifest_put(t, REPO, &p->manifest, &r, err);
}

static int
put_open(struct txn *t, void *arg, struct err *err)
{
    struct edge open = edge_of(arg, EDGE_ID);

    return tbl_edge_put(t, &open, err);
}

static int
prove(struct txn *t, void *arg, struct err *err)
{
    struct edge open = edge_of(arg, EDGE_ID), proven = edge_of(arg, EDGE_ID_PROVEN);

    return tbl_edge_drop(t, &open, err) != 0 ? -1 : tbl_edge_put(t, &proven, err);
}

static int
drop_proven(struct txn *t, void *arg, struct err *err)
{
    struct edge proven = edge_of(arg, EDGE_ID_PROVEN);

    return tbl_edge_drop(t, &proven, err);
}

static void
prove_again_and_again(struct fixture *f, struct proving *p)
{
    alarm(100);
    f->reg.kv = kv_open(store_place(), tables, TABLE_COUNT, NULL, lost_store, &f->err);
    for (int i = 0; i < ROUNDS && f->reg.kv != NULL; i++) {
        if (txn_run(f->reg.kv, put_open, p, &f->err) != 0)
            _exit(1);
        atomic_fetch_add(&p->stage, 1);
        if (txn_run(f->reg.kv, prove, p, &f->err) != 0)
            _exit(1);
        usleep(100); /* a list that was begun before has an end */
        atomic_fetch_add(&p->stage, 1);
        if (txn_run(f->reg.kv, drop_proven, p, &f->err) != 0)
            _exit(1);
    }
    atomic_store(&p->is_over, true);
    kv_close(f->reg.kv);
    _exit(f->reg.kv == NULL);
}

static void
what_is_proven_meanwhile_is_not_missed(void **state)
{
    struct fixture *f = *state;
    struct proving *p =
        mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct image_named_list list;
    unsigned read = 0, missed = 0, seen_twice = 0;
    int status;
    pid_t pid;

    assert_true(p != MAP_FAILED);
    p->id = (struct digest){.algo = DIGEST_V1_ID, .bytes = {1}};
    p->manifest = (struct digest){.algo = DIGEST_SHA256, .bytes = {2}};
    assert_int_equal(txn_run(f->reg.kv, put_manifest, p, &f->err), 0);
    kv_close(f->reg.kv);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        prove_again_and_again(f, p);
    f->reg.kv = kv_open(store_place(), tables, TABLE_COUNT, NULL, lost_store, &f->err);
    assert_non_null(f->reg.kv);
    while (!atomic_load(&p->is_over) && waitpid(pid, &status, WNOHANG) == 0) {
        unsigned before = atomic_load(&p->stage);

        if (before % 2 == 0)
            continue;
        assert_int_equal(image_named_read(&f->reg, NULL, 0, &p->id, &list, &f->err), 0);
        if (atomic_load(&p->stage) != before)
            continue;
        read++;
        missed += list.n == 0;
        seen_twice += list.n > 1;
    }
    waitpid(pid, &status, 0);
    print_message("# %u lists, %u without the manifest\n", read, missed);
    assert_true(read > 10);
    assert_int_equal(missed, 0);
    assert_int_equal(seen_twice, 0);
    munmap(p, sizeof *p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_proven_meanwhile_is_not_missed, fixture_store,
                                        fixture_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
