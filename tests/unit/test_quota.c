#include "store_fixture.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/core/blob.h"
#include "domain/core/delete.h"
#include "domain/core/garbage.h"
#include "domain/core/quota.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_quota.h"
#include "store_place.h"

#define HOUR (3600 * 1000ull) /* a lease */

static struct quotas known;

/* As a start of the server with these quotas. */
static void
start(struct fixture *f, const char *one, const char *two)
{
    char *texts[] = {(char *)one, (char *)two};

    f->reg.quotas = NULL;
    OK(f, quota_begin(&f->reg, texts, two != NULL ? 2 : one != NULL, &f->err));
    OK(f, quota_load(f->reg.kv, &known, &f->err));
    f->reg.quotas = &known;
}

static void
take_use(const struct rec_quota *r, void *arg)
{
    *(uint64_t *)arg = r->used;
}

/* What is used of the only quota of a repository. */
static uint64_t
use(struct fixture *f, const char *repository)
{
    uint64_t used = UINT64_MAX;

    OK(f, quota_each(&f->reg, repository, take_use, &used, &f->err));
    return used;
}

static struct push
push(struct fixture *f, const char *repository, const char *tag, const char *layer)
{
    struct digest config = fixture_blob(f, repository, "{}"),
                  d = fixture_blob(f, repository, layer);
    struct push p;

    OK(f, fixture_push(f, repository, tag, fixture_image(f, &config, &d, ""), OCI_IMAGE, &p));
    return p;
}

static void
a_quota_is_a_pattern_and_a_size(void **state)
{
    static const char *const bad[] = {"",        "a",         "a ",        " 1G",     "a 0",
                                      "a 1X",    "/a 1G",     "{user} 1G", "../x 1G", "**/.a/** 1G",
                                      "a..b 1G", "a___b* 1G", "-a 1G"};
    char pattern[RECORD_REPOSITORY_MAX + 1];
    uint64_t limit;
    struct err err;

    (void)state;
    assert_int_equal(quota_parse("team/**  2M", pattern, &limit, &err), 0);
    assert_string_equal(pattern, "team/**");
    assert_int_equal(limit, 2 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(quota_parse(bad[i], pattern, &limit, &err), -1);
}

static void
what_a_repository_has_counts_once(void **state)
{
    struct fixture *f = *state;
    struct push one, two;

    start(f, "a/* 10K", NULL);
    one = push(f, "a/b", "v1", "a layer");
    assert_int_equal(use(f, "a/b"), 2 + 7 + one.document.n);
    push(f, "a/b", "v2", "a layer");
    assert_int_equal(use(f, "a/b"), 2 + 7 + one.document.n);
    two = push(f, "a/b", "v3", "another");
    assert_int_equal(use(f, "a/b"), 2 + 7 + 7 + one.document.n + two.document.n);
    push(f, "x/y", "v1", "a layer");
    assert_int_equal(use(f, "a/b"), 2 + 7 + 7 + one.document.n + two.document.n);
    assert_int_equal(use(f, "x/y"), UINT64_MAX);
    push(f, "a/c", "v1", "a layer");
    assert_int_equal(use(f, "a/c"), 4 + 14 + 7 + 2 * one.document.n + two.document.n);
}

static void
what_is_deleted_or_collected_counts_no_more(void **state)
{
    struct fixture *f = *state;
    struct digest lone;
    struct push one, two;

    start(f, "** 10K", NULL);
    one = push(f, "a/b", "v1", "a layer");
    two = push(f, "a/b", "v2", "another");
    OK(f, delete_manifest(&f->reg, "a/b", &one.digest, NULL, &fixture_actor, &f->arena, &f->err));
    assert_int_equal(use(f, "a/b"), 2 + 7 + two.document.n);
    lone = fixture_blob(f, "a/b", "12345");
    assert_int_equal(use(f, "a/b"), 2 + 7 + two.document.n + 5);
    OK(f, blob_delete(&f->reg, "a/b", &lone, NULL, &fixture_actor, &f->arena, &f->err));
    assert_int_equal(use(f, "a/b"), 2 + 7 + two.document.n);
    fixture_blob(f, "a/b", "123456");
    fixture_forward_ms(2 * HOUR);
    assert_in_range(garbage_step(&f->reg, &f->err), 0, 1);
    assert_int_equal(use(f, "a/b"), 2 + 7 + two.document.n);
    OK(f, delete_manifest(&f->reg, "a/b", &two.digest, NULL, &fixture_actor, &f->arena, &f->err));
    assert_int_equal(use(f, "a/b"), 0);
}

static void
a_push_that_passes_it_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct digest config, layer;
    struct push p;
    int files;

    start(f, "a/b 20", NULL);
    config = fixture_blob(f, "a/b", "{}");
    layer = fixture_blob(f, "a/b", "0123456789");
    REFUSED(f, quota_check_room(&f->reg, "a/b", 9, &f->err), ERR_FULL);
    OK(f, quota_check_room(&f->reg, "a/b", 8, &f->err));
    REFUSED(f, fixture_push(f, "a/b", "v1", fixture_image(f, &config, &layer, ""), OCI_IMAGE, &p),
            ERR_FULL);
    assert_int_equal(use(f, "a/b"), 12);
    fixture_blob(f, "c/d", "a layer elsewhere");
    layer = fixture_digest("a layer elsewhere");
    files = fixture_layer_files(f);
    REFUSED(f, blob_mount(&f->reg, &fixture_actor, "a/b", "c/d", &layer, &f->err), ERR_FULL);
    assert_int_equal(fixture_layer_files(f), files);
    assert_int_equal(use(f, "a/b"), 12);
}

static void
a_new_quota_counts_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct push one = push(f, "a/b", "v1", "a layer"), two = push(f, "a/c", "v1", "a layer");
    uint64_t all = 4 + 14 + one.document.n + two.document.n;

    start(f, "a/* 10K", NULL);
    assert_int_equal(use(f, "a/b"), all);
    start(f, "a/* 5K",
          "a/* 6K"); /* the same pattern: the smaller one holds, and nothing is counted */
    assert_int_equal(known.n, 1);
    assert_int_equal(use(f, "a/b"), all);
    start(f, NULL, NULL);
    assert_int_equal(use(f, "a/b"), UINT64_MAX);
    OK(f, delete_manifest(&f->reg, "a/b", &one.digest, NULL, &fixture_actor, &f->arena, &f->err));
    start(f, "a/* 5K", "x/* 5K");
    assert_int_equal(use(f, "a/c"), 2 + 7 + two.document.n);
}

static int
interrupt(struct txn *t, void *arg, struct err *err)
{
    struct rec_quota r;

    WANT(tbl_quota_get_for_update(t, arg, &r, err) == 1);
    r.counted = false;
    r.used = 1;
    return tbl_quota_put(t, arg, &r, err);
}

static void
a_count_that_was_interrupted_begins_anew(void **state)
{
    struct fixture *f = *state;
    struct push one = push(f, "a/b", "v1", "a layer");

    start(f, "a/* 10K", NULL);
    fixture_run(f, interrupt, &known.v[0].key);
    start(f, "a/* 10K", NULL);
    assert_int_equal(known.n, 1);
    assert_int_equal(use(f, "a/b"), 2 + 7 + one.document.n);
    OK(f, delete_manifest(&f->reg, "a/b", &one.digest, NULL, &fixture_actor, &f->arena, &f->err));
    assert_int_equal(use(f, "a/b"), 0);
}

/* ---- several nodes ---- */

static void
lost_quota_store(const char *why)
{
    fail_msg("%s", why);
}

static void
open_again(struct fixture *f)
{
    f->reg.kv = kv_open(store_place(), tables, TABLE_COUNT, NULL, lost_quota_store, &f->err);
    assert_non_null(f->reg.kv);
}

static void
start_again_and_again(struct fixture *f, const atomic_bool *is_over)
{
    char *texts[] = {(char *)"** 1G"};
    int rc = 0;

    alarm(100);
    open_again(f);
    f->reg.quotas = NULL;
    while (rc == 0 && !atomic_load(is_over))
        rc = quota_begin(&f->reg, texts, 1, &f->err);
    kv_close(f->reg.kv);
    _exit(rc == 0 ? 0 : 1);
}

static void
what_is_pushed_while_another_node_starts_is_counted(void **state)
{
    atomic_bool *is_over =
        mmap(NULL, sizeof *is_over, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct fixture *f = *state;
    char name[32];
    uint64_t used;
    int status;
    pid_t pid;

    assert_true(is_over != MAP_FAILED);
    start(f, "** 1G", NULL);
    push(f, "a", "v", "first");
    kv_close(f->reg.kv);
    f->reg.kv = NULL;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        start_again_and_again(f, is_over);
    open_again(f);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "layer %d", i);
        push(f, "a", "v", name);
        arena_reset(&f->arena);
    }
    atomic_store(is_over, true);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    munmap(is_over, sizeof *is_over);
    used = use(f, "a");
    start(f, NULL, NULL);
    start(f, "** 1G", NULL);
    assert_int_equal(used, use(f, "a"));
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quota_is_a_pattern_and_a_size),
        TEST(what_a_repository_has_counts_once),
        TEST(what_is_deleted_or_collected_counts_no_more),
        TEST(a_push_that_passes_it_leaves_nothing),
        TEST(a_new_quota_counts_what_is_there),
        TEST(a_count_that_was_interrupted_begins_anew),
        TEST(what_is_pushed_while_another_node_starts_is_counted),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
