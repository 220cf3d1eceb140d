/* A check of the store, around its rules: files, repairs that fail, records that come back. */
#include "check_fixture.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/check/damage.h"
#include "domain/inside/index_job.h"
#include "storage/files/blob_file.h"
#include "storage/tables/tbl_tally.h"

static int
count_wrongly(struct txn *t, void *arg, struct err *err)
{
    const struct store *s = arg;
    const struct tally tags = {.kind = TALLY_TAGS, .repo = s->repo};

    return tbl_tally_put(t, &tags, 17, err);
}

static int
count_kinds(const struct looked *l, const char *kind)
{
    int n = 0;

    for (const char *at = l->all; (at = strstr(at, kind)) != NULL; at++)
        n++;
    return n;
}

/* A blob whose size is wrong has a wrong digest, too. */
static void
a_cut_blob_is_one_finding(void **state)
{
    struct fixture *f = *state;
    struct looked l = {.kind = "blob-file"};
    struct store s;
    struct rec_blob r;
    char path[BLOB_FILE_PATH_MAX], name[BLOB_FILE_PATH_MAX + 8];

    check_fixture_fill(f, &s);
    assert_int_equal(fixture_blob_record(f, &s.layer, &r), 1);
    blob_file_path(path, &s.layer, r.instance);
    snprintf(name, sizeof name, "layers/%s", path);
    chmod(name, 0600);
    assert_int_equal(truncate(name, 3), 0);
    assert_int_equal(check_fixture_run(f, false, &l), 1);
    assert_true(l.found);
}

/* Each bad blob is named, also if none can be moved, and every other repair is done. */
static void
a_repair_that_fails_does_not_end_the_others(void **state)
{
    struct fixture *f = *state;
    struct looked l = {.kind = "blob-file"};
    struct store s;
    struct digest all[2];
    struct rec_blob r;
    char path[BLOB_FILE_PATH_MAX], name[BLOB_FILE_PATH_MAX + 8];
    FILE *file;

    check_fixture_fill(f, &s);
    all[0] = s.layer;
    all[1] = s.config;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture_blob_record(f, &all[i], &r), 1);
        blob_file_path(path, &all[i], r.instance);
        snprintf(name, sizeof name, "layers/%s", path);
        chmod(name, 0600);
        assert_int_equal(truncate(name, 1), 0);
    }
    file = fopen("layers/quarantine", "w"); /* no directory */
    assert_non_null(file);
    fclose(file);
    fixture_run(f, count_wrongly, &s);
    check_fixture_run(f, true, &l);
    assert_int_equal(count_kinds(&l, "blob-file"), 2);
    assert_int_equal(count_kinds(&l, "the repair failed"), 2);
    assert_non_null(strstr(l.all, "count a/b: it is 17"));
    if (count_kinds(&l, "(repaired)") != 1)
        fail_msg("%s", l.all);
}

/* A layer that lost its index as well gets one when it is back. */
static void
a_layer_without_index_that_comes_back_is_indexed(void **state)
{
    struct fixture *f = *state;
    struct store s;
    struct rec_blob r;
    struct push p;

    check_fixture_fill(f, &s);
    assert_int_equal(fixture_blob_record(f, &s.layer, &r), 1);
    OK(f, damage_quarantine(&f->reg, &s.layer, r.instance, "a test", &f->err));
    fixture_blob(f, "a/b", "a layer");
    OK(f, fixture_push(f, "a/b", "v1", check_fixture_image(f, &s.config, &s.layer), OCI_IMAGE, &p));
    OK(f, damage_settle(&f->reg, &f->err));
    assert_int_equal(index_job_is_asked(&f->reg, &s.layer, &f->err), 1);
}

static void
an_upload_file_without_a_row_is_found_when_it_is_old(void **state)
{
    struct fixture *f = *state;
    struct looked l = {.kind = "upload-without-row"};
    const char *name = "uploads/0123456789abcdef0123456789abcdef";
    struct store s;
    FILE *file;

    check_fixture_fill(f, &s);
    file = fopen(name, "w");
    assert_non_null(file);
    fclose(file);
    check_fixture_clean(f, "an upload that begins");
    fixture_forward_ms(2 * 3600 * 1000);
    assert_true(check_fixture_run(f, false, &l) > 0 && l.found);
    check_fixture_run(f, true, &l);
    assert_int_equal(access(name, F_OK), -1);
    check_fixture_run(f, false, &l);
    assert_false(l.found);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(a_cut_blob_is_one_finding),
        TEST(a_repair_that_fails_does_not_end_the_others),
        TEST(a_layer_without_index_that_comes_back_is_indexed),
        TEST(an_upload_file_without_a_row_is_found_when_it_is_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
