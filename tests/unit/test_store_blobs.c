#include "store_fixture.h"
#include "store_place.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/core/store_blobs.h"
#include "storage/files/blob_file.h"
#include "storage/tables/tbl_meta.h"
#include "util/fdio.h"

static int
open_outside(void **state)
{
    struct fixture *f;

    if (fixture_store(state) != 0)
        return -1;
    f = *state;
    return mkdir("outside", 0750) == 0
               ? blob_store_open(&f->blobs, f->reg.dirfd, "outside", false, &f->err)
               : -1;
}

static int
close_outside(void **state)
{
    struct fixture *f = *state;

    blob_store_close(&f->blobs);
    return fixture_done(state);
}

struct number {
    const char *name;
    uint64_t value;
};

static int
put_number(struct txn *t, void *arg, struct err *err)
{
    const struct number *n = arg;

    return tbl_meta_put(t, n->name, n->value, err);
}

static uint64_t
id_in_file(struct fixture *f)
{
    uint64_t id = 0;

    assert_int_equal(blob_store_read_id(f->reg.blobs, &id, &f->err), 1);
    assert_true(id != 0);
    return id;
}

static void
the_first_start_gives_both_a_number_and_later_ones_compare(void **state)
{
    struct fixture *f = *state;
    uint64_t id;

    REFUSED(f, store_blobs_check(&f->reg, &f->err), ERR_UNSUPPORTED);
    OK(f, store_blobs_begin(&f->reg, &f->err));
    id = id_in_file(f);
    OK(f, store_blobs_begin(&f->reg, &f->err));
    OK(f, store_blobs_check(&f->reg, &f->err));
    assert_int_equal(id_in_file(f), id);
    OK(f, blob_store_write_id(f->reg.blobs, id + 1, &f->err));
    REFUSED(f, store_blobs_begin(&f->reg, &f->err), ERR_UNSUPPORTED);
    assert_int_equal(unlink("outside/registry-id"), 0);
    REFUSED(f, store_blobs_begin(&f->reg, &f->err), ERR_UNSUPPORTED);
    assert_int_equal(access("outside/registry-id", F_OK), -1);
}

static void
a_first_start_that_was_killed_is_repeated(void **state)
{
    struct fixture *f = *state;
    struct number none = {META_BLOBS_ID, 0};
    uint64_t id;

    OK(f, store_blobs_begin(&f->reg, &f->err));
    id = id_in_file(f);
    OK(f, txn_run(f->reg.kv, put_number, &none, &f->err)); /* before the last step */
    OK(f, store_blobs_begin(&f->reg, &f->err));
    OK(f, store_blobs_check(&f->reg, &f->err));
    assert_int_equal(id_in_file(f), id);
    OK(f, txn_run(f->reg.kv, put_number, &none, &f->err));
    assert_int_equal(unlink("outside/registry-id"), 0); /* before the one before */
    OK(f, store_blobs_begin(&f->reg, &f->err));
    assert_int_equal(id_in_file(f), id);
}

static void
another_registrys_directory_is_refused_by_a_new_database(void **state)
{
    struct fixture *f = *state;

    OK(f, blob_store_write_id(f->reg.blobs, 5, &f->err));
    REFUSED(f, store_blobs_begin(&f->reg, &f->err), ERR_UNSUPPORTED);
    assert_int_equal(id_in_file(f), 5);
}

static void
what_is_no_number_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "\n",
                                        "000000000000000\n",
                                        "0000000000000001",
                                        "000000000000000g\n",
                                        "0000000000000001\nx"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        OK(f, fdio_replace_file(f->reg.dirfd, "outside/registry-id", 0600, bytes_str(wrong[i]),
                                &f->err));
        REFUSED(f, store_blobs_begin(&f->reg, &f->err), ERR_UNSUPPORTED);
    }
}

static void
a_blob_that_is_not_there_is_told(void **state)
{
    struct fixture *f = *state;
    struct blob_store outside = f->blobs;

    f->blobs = blob_store_inside(f->reg.dirfd);
    fixture_blob(f, "a/b", "layer");
    f->blobs = outside;
    REFUSED(f, store_blobs_begin(&f->reg, &f->err), ERR_UNSUPPORTED);
    assert_non_null(strstr(f->err.message, "doesn't have sha256:"));
    assert_int_equal(access("outside/registry-id", F_OK), -1);
}

static void
inside_there_is_a_number_only_if_the_database_is_elsewhere(void **state)
{
    struct fixture *f = *state;

    blob_store_close(&f->blobs);
    OK(f, store_blobs_begin(&f->reg, &f->err));
    OK(f, store_blobs_check(&f->reg, &f->err));
    assert_int_equal(access("layers/registry-id", F_OK), store_place_is_remote() ? 0 : -1);
}

static void
a_strange_file_inside_is_named(void **state)
{
    struct fixture *f = *state;

    ONLY_WITH_POSTGRESQL();
    blob_store_close(&f->blobs);
    f->blobs = blob_store_inside(f->reg.dirfd);
    assert_int_equal(mkdir("layers/strange", 0700), 0);
    REFUSED(f, store_blobs_begin(&f->reg, &f->err), ERR_UNSUPPORTED);
    assert_ptr_equal(strstr(f->err.message, "layers holds strange"), f->err.message);
}

static void
a_restore_brings_the_number_with_the_database(void **state)
{
    struct fixture *f = *state;
    uint64_t id;

    OK(f, store_blobs_begin(&f->reg, &f->err));
    id = id_in_file(f);
    blob_store_close(&f->blobs); /* into the data directory */
    OK(f, store_blobs_restore(&f->reg, &f->err));
    assert_int_equal(id_in_file(f), id);
    OK(f, store_blobs_begin(&f->reg, &f->err));
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, open_outside, close_outside)
    const struct CMUnitTest tests[] = {
        TEST(the_first_start_gives_both_a_number_and_later_ones_compare),
        TEST(a_first_start_that_was_killed_is_repeated),
        TEST(another_registrys_directory_is_refused_by_a_new_database),
        TEST(what_is_no_number_is_refused),
        TEST(a_blob_that_is_not_there_is_told),
        TEST(inside_there_is_a_number_only_if_the_database_is_elsewhere),
        TEST(a_strange_file_inside_is_named),
        TEST(a_restore_brings_the_number_with_the_database),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
