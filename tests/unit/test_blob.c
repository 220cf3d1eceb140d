#include "store_fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/core/blob.h"
#include "domain/core/blob_draft.h"
#include "domain/core/delete.h"
#include "domain/core/garbage.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_job.h"
#include "util/fdio.h"

#define SECOND 1000ull
#define HOUR (3600 * SECOND) /* a lease */

static const struct actor bob = {.user = "bob", .address = "192.0.2.2"};

static int
drop(struct fixture *f, const char *repository, const struct digest *d)
{
    return blob_delete(&f->reg, repository, d, NULL, &bob, &f->arena, &f->err);
}

static int
mount(struct fixture *f, const char *to, const char *from, const struct digest *d)
{
    return blob_mount(&f->reg, &fixture_actor, to, from, d, &f->err);
}

static void
pass(struct fixture *f, uint64_t ms)
{
    fixture_forward_ms(ms);
    OK(f, garbage_step(&f->reg, &f->err));
}

static int
count_deletes(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    (void)seq;
    (void)err;
    if (r->type == EVENT_DELETE) {
        assert_string_equal(r->actor, "bob");
        ++*(int *)arg;
    }
    return 0;
}

static int
deletes(struct fixture *f)
{
    int n = 0;

    OK(f, tbl_event_each(kv_reads(f->reg.kv), 0, count_deletes, &n, &f->err));
    return n;
}

/* ---- deleting ---- */

static void
a_blob_goes_from_its_repository_alone(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "blob"), none = fixture_digest("none");

    fixture_blob(f, "a", "blob");
    fixture_blob(f, "empty", "x");
    REFUSED(f, drop(f, "a/b", &none), ERR_NO_BLOB);
    REFUSED(f, drop(f, "empty", &d), ERR_NO_BLOB);
    REFUSED(f, drop(f, "a/c", &d), ERR_NO_REPOSITORY);
    assert_int_equal(deletes(f), 0);
    OK(f, drop(f, "a/b", &d));
    assert_false(fixture_has_blob(f, "a/b", &d));
    assert_true(fixture_has_blob(f, "a", &d));
    assert_int_equal(deletes(f), 1);
    REFUSED(f, drop(f, "a/b", &d), ERR_NO_BLOB);
    assert_int_equal(deletes(f), 1);
    fixture_blob(f, "a/b", "blob");
    assert_true(fixture_has_blob(f, "a/b", &d));
    assert_int_equal(fixture_layer_files(f), 2);
}

static void
a_blob_that_a_manifest_needs_is_kept(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", "config"), layer = fixture_blob(f, "a/b", "l");
    struct digest cached = fixture_blob(f, "a/b", "cached"), index;
    char text[DIGEST_TEXT_MAX];
    struct push p;

    OK(f, fixture_push(f, "a/b", "cache", fixture_index(f, &cached), OCI_INDEX, &p));
    index = p.digest;
    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &config, &layer, ""), OCI_IMAGE, &p));
    REFUSED(f, drop(f, "a/b", &config), ERR_IN_USE);
    REFUSED(f, drop(f, "a/b", &layer), ERR_IN_USE);
    assert_int_equal(f->err.about_n, 1);
    digest_text(text, &p.digest);
    assert_string_equal(f->err.about[0], text);
    REFUSED(f, drop(f, "a/b", &cached), ERR_IN_USE);
    digest_text(text, &index);
    assert_string_equal(f->err.about[0], text);

    /* Another repository's need doesn't count here, nor this one's there. */
    fixture_blob(f, "c", "l");
    OK(f, drop(f, "c", &layer));
    assert_true(fixture_has_blob(f, "a/b", &layer));
    assert_int_equal(deletes(f), 1);
    OK(f, delete_manifest(&f->reg, "a/b", &p.digest, NULL, &bob, &f->arena, &f->err));
    OK(f, drop(f, "a/b", &layer));
    assert_false(fixture_has_blob(f, "a/b", &layer));
}

static void
a_deleted_blob_is_garbage_after_a_lease(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "blob");
    struct rec_blob r;

    fixture_forward_ms(HOUR - 60 * SECOND); /* its own is nearly over */
    OK(f, drop(f, "a/b", &d));
    pass(f, HOUR - 60 * SECOND);
    assert_int_equal(fixture_blob_record(f, &d, &r), 1);
    pass(f, 2 * 60 * SECOND);
    assert_int_equal(fixture_blob_record(f, &d, &r), 0);
    pass(f, 2 * 60 * SECOND);
    assert_int_equal(fixture_layer_files(f), 0);
}

static void
a_deleted_blob_that_comes_again_needs_no_new_file(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "blob");
    struct rec_blob before, after;
    struct push p;

    assert_int_equal(fixture_blob_record(f, &d, &before), 1);
    OK(f, drop(f, "a/b", &d));
    fixture_blob(f, "a/b", "blob");
    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &d, &d, ""), OCI_IMAGE, &p));
    pass(f, 3 * HOUR);
    assert_int_equal(fixture_blob_record(f, &d, &after), 1);
    assert_int_equal(after.instance, before.instance);
    assert_true(fixture_has_blob(f, "a/b", &d));
}

/* A manifest that comes while its part is deleted either finds it or is refused: here the latter.
 */
static void
a_manifest_needs_what_was_deleted_again(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "blob");
    struct push p;

    OK(f, drop(f, "a/b", &d));
    REFUSED(f, fixture_push(f, "a/b", "v1", fixture_image(f, &d, &d, ""), OCI_IMAGE, &p),
            ERR_MISSING_PARTS);
}

/* ---- mounting ---- */

static void
a_mount_needs_a_source_that_has_it(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a", "blob"), none = fixture_digest("none");
    struct rec_repo r;

    fixture_blob(f, "b", "other");
    assert_int_equal(mount(f, "new", "b", &d), 0);
    assert_int_equal(mount(f, "new", "nowhere", &d), 0);
    assert_int_equal(mount(f, "new", "a", &none), 0);
    assert_int_equal(mount(f, "new", NULL, &none), 0);
    assert_int_equal(repository_find(&f->reg, "new", &r, &f->err), 0);
    assert_int_equal(mount(f, "new", "a", &d), 1);
    assert_true(fixture_has_blob(f, "new", &d));
    assert_int_equal(mount(f, "other", NULL, &d), 1);
    assert_true(fixture_has_blob(f, "other", &d));
    assert_int_equal(mount(f, "a", "a", &d), 1); /* where it is already */
    assert_int_equal(mount(f, "new", "a", &d), 1);
    assert_int_equal(fixture_layer_files(f), 2);
}

/* The right to it is a repository's, and ends with the blob there. */
static void
what_was_deleted_is_no_source(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a", "blob");
    struct rec_blob r;

    OK(f, drop(f, "a", &d));
    assert_int_equal(fixture_blob_record(f, &d, &r), 1); /* though it is still on disk */
    assert_int_equal(mount(f, "b", "a", &d), 0);
    assert_int_equal(mount(f, "b", NULL, &d), 0);
    assert_false(fixture_has_blob(f, "b", &d));

    fixture_blob(f, "a", "blob");
    assert_int_equal(mount(f, "b", "a", &d), 1);
    OK(f, drop(f, "a", &d));
    assert_true(fixture_has_blob(f, "b", &d));
    assert_int_equal(mount(f, "c", NULL, &d), 1);
    assert_int_equal(mount(f, "c", "a", &d), 0);
}

static void
what_was_collected_is_no_source(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a", "blob");

    pass(f, HOUR + SECOND);
    assert_int_equal(mount(f, "b", "a", &d), 0);
    assert_int_equal(mount(f, "b", NULL, &d), 0);
}

static void
a_mounted_blob_keeps_its_lease_when_the_source_goes(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a", "blob");
    struct push p;

    fixture_forward_ms(HOUR - 10 * SECOND);
    assert_int_equal(mount(f, "b", "a", &d), 1);
    OK(f, drop(f, "a", &d));
    pass(f, HOUR - 10 * SECOND);
    OK(f, fixture_push(f, "b", "v1", fixture_image(f, &d, &d, ""), OCI_IMAGE, &p));
    pass(f, 3 * HOUR);
    assert_true(fixture_has_blob(f, "b", &d));
}

/* ---- finding ---- */

static void
a_large_manifest_is_no_blob(void **state)
{
    struct fixture *f = *state;
    struct digest c = fixture_blob(f, "a/b", "c");
    char *filler = malloc(70001);
    struct rec_blob r;
    struct push p;

    assert_non_null(filler);
    memset(filler, 'x', 70000);
    filler[70000] = '\0';
    const char *more = arena_printf(&f->arena, ",\"annotations\":{\"x\":\"%s\"}", filler);
    free(filler);
    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &c, &c, more), OCI_IMAGE, &p));
    assert_int_equal(fixture_blob_record(f, &p.digest, &r), 1);
    assert_false(fixture_has_blob(f, "a/b", &p.digest));
    REFUSED(f, drop(f, "a/b", &p.digest), ERR_NO_BLOB);
    assert_int_equal(mount(f, "c", "a/b", &p.digest), 0);
    assert_int_equal(mount(f, "c", NULL, &p.digest), 0);
}

static void
a_blob_is_found_with_its_size_and_file(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "four"), empty = fixture_blob(f, "a/b", "");
    char name[BLOB_FILE_PATH_MAX + 8];
    struct blob b;
    struct buf bytes;

    for (int for_push = 0; for_push < 2; for_push++) {
        assert_int_equal(blob_find(&f->reg, "a/b", &d, for_push, &b, &f->err), 1);
        assert_int_equal(b.size, 4);
        snprintf(name, sizeof name, "layers/%s", b.path);
        bytes = fixture_read(f, name);
        assert_string_equal(buf_text(&bytes), "four");
        buf_free(&bytes);
        OK(f, blob_need(&f->reg, "a/b", &empty, for_push, &b, &f->err));
        assert_int_equal(b.size, 0);
    }
}

/* ---- committing ---- */

static int
commit_text(struct fixture *f, const char *repo, const char *text, struct digest *d)
{
    int fd = open("uploads/it", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    *d = fixture_digest(text);
    OK(f, fdio_write_all(fd, text, strlen(text), "it", &f->err));
    int rc = blob_commit(&f->reg, repo, d, fd, strlen(text), &f->err);
    fdio_close(fd);
    assert_int_equal(unlink("uploads/it"), 0);
    return rc;
}

static void
a_file_becomes_a_blob_once(void **state)
{
    struct fixture *f = *state;
    struct rec_blob before, after;
    struct digest d;

    OK(f, commit_text(f, "a", "bytes", &d));
    OK(f, commit_text(f, "b", "other", &d));
    OK(f, commit_text(f, "a", "bytes", &d));
    assert_int_equal(fixture_blob_record(f, &d, &before), 1);
    assert_true(fixture_has_blob(f, "a", &d));
    assert_false(fixture_has_blob(f, "b", &d));
    fixture_forward_ms(600 * SECOND);
    OK(f, commit_text(f, "b", "bytes", &d));
    OK(f, commit_text(f, "b", "bytes", &d));
    assert_int_equal(fixture_blob_record(f, &d, &after), 1);
    assert_int_equal(after.instance, before.instance);
    assert_true(after.leased_until >= before.leased_until + 600 * SECOND);
    assert_true(fixture_has_blob(f, "b", &d));
    assert_int_equal(fixture_layer_files(f), 2);
}

static int
put_draft(struct txn *t, void *arg, struct err *err)
{
    return blob_draft_put(t, arg, 0, err);
}

/* Publishes a file that the clocks put so many ms back, and puts its record. */
static int
put_after(struct fixture *f, uint64_t wall_ms, uint64_t boot_ms)
{
    struct digest d = fixture_digest("bytes");
    struct blob_draft draft = blob_draft_of_bytes(&f->reg, &d, bytes_str("bytes"));
    int rc;

    OK(f, blob_draft_begin(&draft, &f->err));
    draft.wall_ms -= wall_ms;
    draft.boot_ms -= boot_ms;
    rc = txn_run(f->reg.kv, put_draft, &draft, &f->err);
    blob_draft_settle(&draft);
    return rc;
}

static void
no_record_names_a_file_that_another_node_may_have_swept(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_digest("bytes");
    struct rec_blob r;

    REFUSED(f, put_after(f, 31 * 60 * SECOND, 0), ERR_BUSY);
    REFUSED(f, put_after(f, 0, 31 * 60 * SECOND), ERR_BUSY);
    assert_int_equal(fixture_blob_record(f, &d, &r), 0);
    assert_int_equal(fixture_layer_files(f), 0);
    OK(f, put_after(f, 29 * 60 * SECOND, 29 * 60 * SECOND));
    assert_int_equal(fixture_blob_record(f, &d, &r), 1);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(a_blob_goes_from_its_repository_alone),
        TEST(a_blob_that_a_manifest_needs_is_kept),
        TEST(a_deleted_blob_is_garbage_after_a_lease),
        TEST(a_deleted_blob_that_comes_again_needs_no_new_file),
        TEST(a_manifest_needs_what_was_deleted_again),
        TEST(a_mount_needs_a_source_that_has_it),
        TEST(what_was_deleted_is_no_source),
        TEST(what_was_collected_is_no_source),
        TEST(a_mounted_blob_keeps_its_lease_when_the_source_goes),
        TEST(a_large_manifest_is_no_blob),
        TEST(a_blob_is_found_with_its_size_and_file),
        TEST(a_file_becomes_a_blob_once),
        TEST(no_record_names_a_file_that_another_node_may_have_swept),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
