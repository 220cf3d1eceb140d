#include "store_fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/core/blob.h"
#include "domain/core/garbage.h"
#include "domain/core/pull.h"
#include "domain/core/upkeep.h"
#include "domain/core/upload.h"
#include "domain/metrics/metrics.h"
#include "storage/files/blob_file.h"
#include "domain/core/index_place.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_job.h"
#include "util/clock.h"
#include "util/fdio.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE) /* a lease */

static void
step(struct fixture *f)
{
    assert_in_range(garbage_step(&f->reg, &f->err), 0, 1);
}

static void
a_blob_that_nothing_keeps_goes_after_its_lease_and_not_before(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "garbage");
    struct edge member = {.to = d, .kind = EDGE_MEMBER, .repo = 1};
    struct rec_blob r;

    fixture_forward_ms(HOUR - 10 * SECOND);
    step(f);
    assert_true(fixture_has_blob(f, "a/b", &d));
    assert_int_equal(tbl_edge_has(kv_reads(f->reg.kv), &member, &f->err), 1);
    assert_int_equal(fixture_jobs(f, JOB_COLLECT), 1);

    fixture_forward_ms(20 * SECOND);
    step(f);
    assert_false(fixture_has_blob(f, "a/b", &d));
    assert_int_equal(fixture_blob_record(f, &d, &r), 0);
    assert_int_equal(tbl_edge_has(kv_reads(f->reg.kv), &member, &f->err), 0);
    assert_int_equal(fixture_jobs(f, JOB_COLLECT), 0);
}

static void
its_file_goes_a_minute_later(void **state)
{
    struct fixture *f = *state;

    fixture_blob(f, "a/b", "garbage");
    fixture_forward_ms(HOUR + SECOND);
    step(f);
    assert_int_equal(fixture_layer_files(f), 1); /* a download may be about to open it */
    assert_int_equal(fixture_jobs(f, JOB_UNLINK), 1);
    fixture_forward_ms(55 * SECOND);
    step(f);
    assert_int_equal(fixture_layer_files(f), 1);
    fixture_forward_ms(10 * SECOND);
    step(f);
    assert_int_equal(fixture_layer_files(f), 0);
    assert_int_equal(fixture_jobs(f, JOB_UNLINK), 0);
}

static void
make_index(struct fixture *f, const struct digest *layer)
{
    struct layer_info info = {.layer = *layer, .remark = "a test"};

    OK(f, index_store_refuse(index_place(&f->reg), &info, &f->err));
}

static int
has_index(struct fixture *f, const struct digest *layer)
{
    struct layer_info info;
    int rc = index_store_info(index_place(&f->reg), layer, &info, &f->err);

    assert_in_range(rc, 0, 1);
    return rc;
}

static void
its_index_goes_with_it(void **state)
{
    struct fixture *f = *state;
    struct digest gone = fixture_blob(f, "a/b", "garbage"), back = fixture_blob(f, "a/b", "back");

    make_index(f, &gone);
    make_index(f, &back);
    fixture_forward_ms(HOUR + SECOND);
    step(f);
    assert_int_equal(has_index(f, &gone), 1);
    fixture_blob(f, "a/b", "back");
    fixture_forward_ms(2 * MINUTE);
    step(f);
    assert_int_equal(has_index(f, &gone), 0);
    assert_int_equal(has_index(f, &back), 1);
}

static void
an_index_of_nothing_is_swept(void **state)
{
    struct fixture *f = *state;
    struct digest nothing = fixture_digest("nothing"), blob = fixture_blob(f, "a/b", "blob");

    make_index(f, &nothing);
    make_index(f, &blob);
    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++)
        OK(f, garbage_sweep(&f->reg, i, &f->err));
    assert_int_equal(has_index(f, &nothing), 0);
    assert_int_equal(has_index(f, &blob), 1);
}

static void
a_blob_that_is_pushed_again_meanwhile_keeps_its_new_file(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "back");
    struct blob b;
    int fd;

    fixture_forward_ms(HOUR + SECOND);
    step(f);
    fixture_blob(f, "a/b", "back");
    assert_int_equal(fixture_layer_files(f), 2);
    fixture_forward_ms(2 * MINUTE);
    step(f);
    assert_int_equal(fixture_layer_files(f), 1);
    OK(f, blob_need(&f->reg, "a/b", &d, false, &b, &f->err));
    char name[BLOB_FILE_PATH_MAX + 8];
    snprintf(name, sizeof name, "layers/%s", b.path);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    fdio_close(fd);
}

static void
what_a_manifest_refers_to_is_never_collected(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", "config"), layer = fixture_blob(f, "a/b", "l");
    struct digest unused = fixture_blob(f, "a/b", "unused");
    struct reference tag = {.tag = "v1"};
    struct pulled got;
    struct push p;

    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &config, &layer, ""), OCI_IMAGE, &p));
    for (int i = 0; i < 3; i++) {
        fixture_forward_ms(2 * HOUR);
        step(f);
    }
    assert_true(fixture_has_blob(f, "a/b", &config));
    assert_true(fixture_has_blob(f, "a/b", &layer));
    assert_false(fixture_has_blob(f, "a/b", &unused));
    assert_int_equal(fixture_layer_files(f), 2);
    assert_int_equal(fixture_jobs(f, JOB_COLLECT), 0); /* nobody looks again in vain */
    OK(f, pull_manifest(&f->reg, "a/b", &tag, true, &f->arena, &got, &f->err));
}

static void
a_blob_that_an_index_names_is_never_collected(void **state)
{
    struct fixture *f = *state;
    struct digest cache = fixture_blob(f, "a/b", "cache");
    struct push p;

    OK(f, fixture_push(f, "a/b", "cache", fixture_index(f, &cache), OCI_INDEX, &p));
    fixture_forward_ms(2 * HOUR);
    step(f);
    assert_true(fixture_has_blob(f, "a/b", &cache));
}

static void
a_large_manifest_is_never_collected(void **state)
{
    struct fixture *f = *state;
    struct digest c = fixture_blob(f, "a/b", "c");
    char *filler = fixture_bytes(70000, 1);
    struct reference tag = {.tag = "v1"};
    struct rec_blob r;
    struct pulled got;
    struct push p;
    int fd;

    for (size_t i = 0; i < 70000; i++)
        filler[i] = 'x';
    OK(f, fixture_push(
              f, "a/b", "v1",
              fixture_image(f, &c, &c,
                            arena_printf(&f->arena, ",\"annotations\":{\"x\":\"%s\"}", filler)),
              OCI_IMAGE, &p));
    free(filler);
    fixture_forward_ms(2 * HOUR);
    step(f);
    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++)
        OK(f, garbage_sweep(&f->reg, i, &f->err));
    OK(f, pull_manifest(&f->reg, "a/b", &tag, true, &f->arena, &got, &f->err));
    assert_int_equal(fixture_blob_record(f, &p.digest, &r), 1);
    fd = blob_file_open(f->reg.blobs, &p.digest, r.instance, &f->err);
    assert_true(fd >= 0);
    fdio_close(fd);
}

/* ---- what a pusher was told is here, it may rely on ---- */

static void
who_may_push_and_asks_gets_a_fresh_lease(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "asked for");
    struct blob b;
    struct push p;

    fixture_forward_ms(HOUR + SECOND); /* it is over, but nobody has looked yet */
    assert_int_equal(blob_find(&f->reg, "a/b", &d, true, &b, &f->err), 1);
    step(f);
    assert_true(fixture_has_blob(f, "a/b", &d));
    assert_int_equal(fixture_jobs(f, JOB_COLLECT), 1); /* somebody looks again */
    fixture_forward_ms(HOUR - 10 * SECOND);
    step(f);
    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &d, &d, ""), OCI_IMAGE, &p));
    fixture_forward_ms(2 * HOUR);
    step(f);
    assert_true(fixture_has_blob(f, "a/b", &d));
}

static void
who_may_only_pull_renews_nothing(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "looked at");
    struct blob b;

    fixture_forward_ms(HOUR + SECOND);
    assert_int_equal(blob_find(&f->reg, "a/b", &d, false, &b, &f->err), 1);
    step(f);
    assert_false(fixture_has_blob(f, "a/b", &d));
}

static void
a_renewed_lease_ends_too(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "asked for");
    struct blob b;

    fixture_forward_ms(HOUR - 10 * SECOND);
    assert_int_equal(blob_find(&f->reg, "a/b", &d, true, &b, &f->err), 1);
    fixture_forward_ms(20 * SECOND);
    step(f);
    fixture_forward_ms(HOUR);
    step(f);
    assert_false(fixture_has_blob(f, "a/b", &d));
    assert_int_equal(blob_find(&f->reg, "a/b", &d, true, &b, &f->err), 0);
}

/* The common case writes nothing. */
static void
a_lease_is_renewed_only_when_it_is_needed(void **state)
{
    struct fixture *f = *state;
    struct digest fresh = fixture_blob(f, "a/b", "fresh"), kept = fixture_blob(f, "a/b", "kept");
    struct rec_blob before, after;
    struct blob b;
    struct push p;

    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &kept, &kept, ""), OCI_IMAGE, &p));
    assert_int_equal(fixture_blob_record(f, &fresh, &before), 1);
    fixture_forward_ms(10 * MINUTE);
    assert_int_equal(blob_find(&f->reg, "a/b", &fresh, true, &b, &f->err), 1);
    assert_int_equal(fixture_blob_record(f, &fresh, &after), 1);
    assert_int_equal(after.leased_until, before.leased_until);
    fixture_forward_ms(25 * MINUTE); /* less than half is left */
    assert_int_equal(blob_find(&f->reg, "a/b", &fresh, true, &b, &f->err), 1);
    assert_int_equal(fixture_blob_record(f, &fresh, &after), 1);
    assert_true(after.leased_until > before.leased_until + 30 * MINUTE);

    assert_int_equal(fixture_blob_record(f, &kept, &before), 1);
    fixture_forward_ms(2 * HOUR);
    assert_int_equal(blob_find(&f->reg, "a/b", &kept, true, &b, &f->err), 1);
    assert_int_equal(fixture_blob_record(f, &kept, &after), 1);
    assert_int_equal(after.leased_until, before.leased_until);
}

static void
a_mounted_blob_has_a_lease_too(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "mounted");

    fixture_forward_ms(HOUR + SECOND);
    assert_int_equal(blob_mount(&f->reg, &fixture_actor, "c", "a/b", &d, &f->err), 1);
    step(f);
    assert_true(fixture_has_blob(f, "c", &d));
    fixture_forward_ms(HOUR - 10 * SECOND);
    step(f);
    assert_true(fixture_has_blob(f, "c", &d));
    fixture_forward_ms(20 * SECOND);
    step(f);
    assert_false(fixture_has_blob(f, "c", &d));
    assert_false(fixture_has_blob(f, "a/b", &d));
    assert_int_equal(blob_mount(&f->reg, &fixture_actor, "c", "a/b", &d, &f->err), 0);
}

static void
an_upload_of_what_is_there_renews_its_lease(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "again");

    fixture_forward_ms(HOUR + SECOND);
    fixture_blob(f, "c", "again");
    step(f);
    assert_true(fixture_has_blob(f, "a/b", &d));
    assert_true(fixture_has_blob(f, "c", &d));
    assert_int_equal(fixture_layer_files(f), 1);
}

static void
a_manifest_never_refers_to_what_was_collected(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "late");
    struct push p;

    fixture_forward_ms(HOUR + SECOND);
    step(f);
    REFUSED(f, fixture_push(f, "a/b", "v1", fixture_image(f, &d, &d, ""), OCI_IMAGE, &p),
            ERR_MISSING_PARTS);
    fixture_blob(f, "a/b", "late");
    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &d, &d, ""), OCI_IMAGE, &p));
}

static void
more_garbage_than_one_round_takes_goes_in_several(void **state)
{
    struct fixture *f = *state;
    char text[20];

    f->reg.lease_ms = 1;
    for (int i = 0; i < 120; i++) {
        snprintf(text, sizeof text, "garbage %d", i);
        fixture_blob(f, "a/b", text);
    }
    fixture_forward_ms(SECOND);
    assert_int_equal(garbage_step(&f->reg, &f->err), 1);
    assert_in_range(fixture_jobs(f, JOB_COLLECT), 1, 119);
    OK(f, garbage_step(&f->reg, &f->err));
    assert_int_equal(fixture_jobs(f, JOB_COLLECT), 0);
    fixture_forward_ms(2 * MINUTE);
    step(f);
    step(f);
    assert_int_equal(fixture_layer_files(f), 0);
}

/* ---- files without a record ---- */

static void
sweep_all(struct fixture *f)
{
    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++)
        OK(f, garbage_sweep(&f->reg, i, &f->err));
}

static int
put_record(struct txn *t, void *arg, struct err *err)
{
    struct digest d = fixture_digest("late");

    return tbl_blob_put(t, &d, arg, err);
}

static void
a_file_whose_record_came_after_the_sweep_stays(void **state)
{
    struct fixture *f = *state;
    struct rec_blob r = {.size = 4, .leased_until = clock_wall_ms() + 10 * HOUR};
    struct digest d = fixture_digest("late");

    OK(f, blob_file_write(f->reg.blobs, bytes_str("late"), &d, &r.instance, &f->err));
    fixture_forward_ms(2 * HOUR); /* somebody sets the clock while it is pushed */
    sweep_all(f);
    assert_int_equal(fixture_jobs(f, JOB_UNLINK), 1);
    fixture_run(f, put_record, &r);
    fixture_forward_ms(2 * MINUTE);
    OK(f, garbage_step(&f->reg, &f->err));
    assert_int_equal(fixture_jobs(f, JOB_UNLINK), 0);
    assert_int_equal(fixture_layer_files(f), 1);
}

static void
a_lease_is_over_when_it_is_by_the_clocks_of_all_nodes(void **state)
{
    struct fixture *f = *state;
    struct metrics m;
    struct digest d;
    uint64_t due;

    OK(f, metrics_make(&m, 1, &f->err));
    f->reg.metrics = &m;
    metrics_tell_clock(&m, true, 10000, 30000);
    d = fixture_blob(f, "a/b", "leased");
    fixture_forward_ms(HOUR + 20 * SECOND);
    OK(f, garbage_due(&f->reg, &due, &f->err));
    assert_in_range(due, clock_wall_ms() + 1, clock_wall_ms() + 10 * SECOND);
    assert_int_equal(garbage_step(&f->reg, &f->err), 0);
    assert_true(fixture_has_blob(f, "a/b", &d));
    fixture_forward_ms(10 * SECOND);
    step(f);
    assert_false(fixture_has_blob(f, "a/b", &d));
}

static void
a_clock_that_is_set_is_noticed_at_once(void **state)
{
    struct fixture *f = *state;
    struct metrics m;

    OK(f, metrics_make(&m, 1, &f->err));
    metrics_tell_clock(&m, true, 10000, 0); /* ten seconds ahead */
    assert_false(metrics_is_clock_wrong(&m));
    fixture_forward_ms(15 * SECOND);
    assert_false(metrics_is_clock_wrong(&m));
    fixture_forward_ms(15 * SECOND);
    assert_true(metrics_is_clock_wrong(&m));
    metrics_tell_clock(&m, false, 40000, 0);
    assert_false(metrics_is_clock_wrong(&m));
    metrics_tell_clock(&m, true, -40000, 0);
    assert_true(metrics_is_clock_wrong(&m));
}

static void
a_file_that_no_record_names_is_swept_when_it_is_old(void **state)
{
    struct fixture *f = *state;
    struct digest kept, orphan = fixture_digest("orphan");
    uint64_t instance, other;
    struct rec_blob r;

    f->reg.lease_ms = 10 * HOUR;
    kept = fixture_blob(f, "a/b", "kept");
    OK(f, blob_file_write(f->reg.blobs, bytes_str("orphan"), &orphan, &instance, &f->err));
    /* and one beside a file that has a record: what lost a race */
    OK(f, blob_file_write(f->reg.blobs, bytes_str("kept"), &kept, &other, &f->err));
    fixture_forward_ms(HOUR - MINUTE);
    sweep_all(f);
    assert_int_equal(fixture_layer_files(f), 3); /* their records may still come */
    fixture_forward_ms(2 * MINUTE);
    sweep_all(f);
    OK(f, garbage_step(&f->reg, &f->err));
    assert_int_equal(fixture_layer_files(f), 3); /* nor at once: a download may be about to begin */
    fixture_forward_ms(2 * MINUTE);
    OK(f, garbage_step(&f->reg, &f->err));
    assert_int_equal(fixture_layer_files(f), 1);
    assert_int_equal(fixture_blob_record(f, &kept, &r), 1);
    int fd = blob_file_open(f->reg.blobs, &kept, r.instance, &f->err);
    assert_true(fd >= 0);
    fdio_close(fd);
}

/* ---- the keeper's round ---- */

static void
much_garbage_goes_in_steps_that_follow_each_other(void **state)
{
    struct fixture *f = *state;
    struct upkeep keeper = {.sweep_at = 0};
    char text[32];

    f->reg.gc_interval_ms = HOUR;
    for (int i = 0; i < 250; i++) {
        snprintf(text, sizeof text, "garbage %d", i);
        fixture_blob(f, "a/b", text);
    }
    fixture_forward_ms(2 * HOUR);
    do
        OK(f, upkeep_step(&keeper, &f->reg, &f->err));
    while (keeper.next_jobs_ms < clock_mono_ms() + HOUR / 2);
    assert_int_equal(fixture_jobs(f, JOB_COLLECT), 0);
    assert_int_equal(fixture_jobs(f, JOB_UNLINK), 250);
}

/* As the keeper does it: sleeps until there is something to do. */
static void
keep_until_no_job_is_left(struct fixture *f, struct upkeep *keeper)
{
    while (fixture_jobs(f, JOB_COLLECT) + fixture_jobs(f, JOB_UNLINK) > 0) {
        OK(f, upkeep_step(keeper, &f->reg, &f->err));
        uint64_t now = clock_mono_ms();
        if (keeper->wake_ms > now + MINUTE)
            fixture_forward_ms(keeper->wake_ms - now);
        else if (keeper->wake_ms > now)
            clock_sleep_ms(keeper->wake_ms - now);
    }
}

static void
garbage_goes_when_its_lease_is_over_and_not_at_the_next_interval(void **state)
{
    struct fixture *f = *state;
    struct upkeep keeper = {.sweep_at = 0};
    uint64_t began = clock_mono_ms();
    char text[32];

    f->reg.gc_interval_ms = 24 * HOUR;
    f->reg.file_grace_ms = 100;
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "garbage %d", i);
        fixture_blob(f, "a/b", text);
    }
    OK(f, upkeep_step(&keeper, &f->reg, &f->err));
    assert_in_range(keeper.wake_ms, began + HOUR - 2 * SECOND, clock_mono_ms() + HOUR);
    assert_int_equal(fixture_jobs(f, JOB_COLLECT), 30);
    keep_until_no_job_is_left(f, &keeper);
    assert_int_equal(fixture_layer_files(f), 0);
    assert_true(keeper.next_jobs_ms > clock_mono_ms() + 20 * HOUR);
}

static void
who_has_no_garbage_sleeps_for_the_whole_interval(void **state)
{
    struct fixture *f = *state;
    struct upkeep keeper = {.sweep_at = 0};
    uint64_t began = clock_mono_ms();

    f->reg.gc_interval_ms = 24 * HOUR;
    for (int i = 0; i < 3; i++)
        OK(f, upkeep_step(&keeper, &f->reg, &f->err));
    assert_true(keeper.wake_ms >= began + 24 * HOUR);
}

static void
the_keeper_does_all_of_it_in_its_rounds(void **state)
{
    struct fixture *f = *state;
    struct digest garbage = fixture_blob(f, "a/b", "garbage"), orphan = fixture_digest("orphan");
    struct actor alice = {.user = "alice", .address = ""};
    struct upkeep keeper = {.sweep_at = 0};
    struct upload u;
    uint64_t instance;

    f->reg.gc_interval_ms = 0;
    OK(f, blob_file_write(f->reg.blobs, bytes_str("orphan"), &orphan, &instance, &f->err));
    OK(f, upload_begin(&f->reg, "a/b", &alice, &u, &f->err));
    fixture_body(f, bytes_str("left behind"));
    fixture_forward_ms(2 * HOUR);
    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++) {
        keeper.next_sweep_ms = 0;
        OK(f, upkeep_step(&keeper, &f->reg, &f->err));
    }
    assert_int_equal(keeper.sweep_at, 0);
    fixture_forward_ms(2 * MINUTE);
    OK(f, upkeep_step(&keeper, &f->reg, &f->err));
    assert_false(fixture_has_blob(f, "a/b", &garbage));
    REFUSED(f, upload_find(&f->reg, "a/b", u.id, &alice, &u, &f->err), ERR_NO_UPLOAD);
    assert_int_equal(fixture_entries(f, "uploads/body/0/00"), 0);
    assert_int_equal(blob_file_open(f->reg.blobs, &orphan, instance, &f->err), -1);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(a_blob_that_nothing_keeps_goes_after_its_lease_and_not_before),
        TEST(its_file_goes_a_minute_later),
        TEST(its_index_goes_with_it),
        TEST(an_index_of_nothing_is_swept),
        TEST(a_blob_that_is_pushed_again_meanwhile_keeps_its_new_file),
        TEST(what_a_manifest_refers_to_is_never_collected),
        TEST(a_blob_that_an_index_names_is_never_collected),
        TEST(a_large_manifest_is_never_collected),
        TEST(who_may_push_and_asks_gets_a_fresh_lease),
        TEST(who_may_only_pull_renews_nothing),
        TEST(a_renewed_lease_ends_too),
        TEST(a_lease_is_renewed_only_when_it_is_needed),
        TEST(a_mounted_blob_has_a_lease_too),
        TEST(an_upload_of_what_is_there_renews_its_lease),
        TEST(a_manifest_never_refers_to_what_was_collected),
        TEST(more_garbage_than_one_round_takes_goes_in_several),
        TEST(a_file_whose_record_came_after_the_sweep_stays),
        TEST(a_lease_is_over_when_it_is_by_the_clocks_of_all_nodes),
        TEST(a_clock_that_is_set_is_noticed_at_once),
        TEST(a_file_that_no_record_names_is_swept_when_it_is_old),
        TEST(much_garbage_goes_in_steps_that_follow_each_other),
        TEST(garbage_goes_when_its_lease_is_over_and_not_at_the_next_interval),
        TEST(who_has_no_garbage_sleeps_for_the_whole_interval),
        TEST(the_keeper_does_all_of_it_in_its_rounds),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
