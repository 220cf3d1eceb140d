#include "store_fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/core/blob.h"
#include "domain/core/repository.h"
#include "domain/core/upload.h"
#include "domain/core/upload_expiry.h"
#include "storage/files/upload_dir.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_upload.h"
#include "util/clock.h"
#include "util/fdio.h"

static const struct actor alice = {.user = "alice", .address = "192.0.2.1"};
static const struct actor bob = {.user = "bob", .address = "192.0.2.1"};
static const struct actor nobody = {.user = "", .address = "192.0.2.1"};
static const struct actor nobody_else = {.user = "", .address = "198.51.100.7"};
static const struct upload_chunk nothing = {.body_file = ""};

static struct upload_chunk
chunk_of(struct fixture *f, const char *text)
{
    return (struct upload_chunk){.body_file = fixture_body(f, bytes_str(text)),
                                 .size = strlen(text)};
}

static struct upload
begin(struct fixture *f, const char *repository)
{
    struct upload u;

    OK(f, upload_begin(&f->reg, repository, &alice, &u, &f->err));
    return u;
}

static int
append(struct fixture *f, struct upload *u, const char *text)
{
    struct upload_chunk chunk = chunk_of(f, text);

    return upload_append(&f->reg, u, &chunk, &f->err);
}

static int
finish(struct fixture *f, struct upload *u, const char *text)
{
    struct digest d = fixture_digest(text);

    return upload_finish(&f->reg, u, &nothing, &d, &f->err);
}

static int
rows(struct fixture *f, const struct upload *u)
{
    struct rec_upload r;

    return tbl_upload_get(kv_reads(f->reg.kv), u->id, &r, &f->err);
}

/* Nothing is left of any upload but nginx's directory. */
static void
expect_no_upload(struct fixture *f, const struct upload *u)
{
    struct upload again;

    assert_int_equal(fixture_entries(f, "uploads"), 1);
    assert_int_equal(rows(f, u), 0);
    REFUSED(f, upload_find(&f->reg, "a/b", u->id, &alice, &again, &f->err), ERR_NO_UPLOAD);
}

static void
expect_blob(struct fixture *f, const char *repository, const char *text)
{
    struct digest d = fixture_digest(text);
    char name[BLOB_FILE_PATH_MAX + 8];
    struct blob b;
    struct buf bytes;

    OK(f, blob_need(&f->reg, repository, &d, false, &b, &f->err));
    assert_int_equal(b.size, strlen(text));
    snprintf(name, sizeof name, "layers/%s", b.path);
    bytes = fixture_read(f, name);
    assert_string_equal(buf_text(&bytes), text);
    buf_free(&bytes);
}

static void
an_upload_in_pieces_becomes_a_blob(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b"), found;
    struct digest d = fixture_digest("one, two and three");
    struct upload_chunk last;

    assert_int_equal(strlen(u.id), 32);
    assert_int_equal(u.size, 0);
    OK(f, append(f, &u, "one, "));
    assert_int_equal(u.size, 5);
    OK(f, append(f, &u, "two "));
    OK(f, upload_find(&f->reg, "a/b", u.id, &alice, &found, &f->err));
    assert_string_equal(found.id, u.id);
    assert_int_equal(found.size, 9);
    last = chunk_of(f, "and three");
    OK(f, upload_finish(&f->reg, &u, &last, &d, &f->err));
    assert_int_equal(u.size, 18);
    expect_blob(f, "a/b", "one, two and three");
    assert_int_equal(fixture_layer_files(f), 1);
    expect_no_upload(f, &u);
    REFUSED(f, finish(f, &u, "one, two and three"), ERR_NO_UPLOAD);
    assert_int_equal(fixture_entries(f, "uploads"), 1);
}

static void
a_last_piece_can_be_sent_again_when_its_commit_failed(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b");
    struct digest d = fixture_digest("all of it");
    struct upload_chunk last = chunk_of(f, "all of it");

    /* Nothing can be published while its directory is away. */
    assert_int_equal(rename("layers", "moved"), 0);
    REFUSED(f, upload_finish(&f->reg, &u, &last, &d, &f->err), ERR_SYSTEM);
    assert_int_equal(u.size, 0);
    assert_int_equal(rename("moved", "layers"), 0);

    last = chunk_of(f, "all of it");
    OK(f, upload_finish(&f->reg, &u, &last, &d, &f->err));
    expect_blob(f, "a/b", "all of it");
    expect_no_upload(f, &u);
}

static void
an_empty_blob_can_be_pushed(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b");

    OK(f, finish(f, &u, ""));
    expect_blob(f, "a/b", "");
    expect_no_upload(f, &u);
}

static void
a_blob_may_be_named_by_sha512(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b");
    struct digest d;
    struct blob b;

    digest_of(&d, DIGEST_SHA512, bytes_str("long"));
    OK(f, append(f, &u, "long"));
    OK(f, upload_finish(&f->reg, &u, &nothing, &d, &f->err));
    OK(f, blob_need(&f->reg, "a/b", &d, false, &b, &f->err));
    assert_int_equal(strncmp(b.path, "sha512/", 7), 0);
}

static void
a_piece_must_continue_the_upload(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b");
    struct upload_chunk chunk;

    OK(f, append(f, &u, "12345"));
    for (uint64_t first = 0; first <= 10; first++) {
        if (first == 5)
            continue;
        chunk = chunk_of(f, "678");
        chunk.has_range = true;
        chunk.first = first;
        chunk.range_size = first % 2 == 0 ? chunk.size : chunk.size + 1; /* the place comes first */
        u.size = 99;
        REFUSED(f, upload_append(&f->reg, &u, &chunk, &f->err), ERR_BAD_RANGE);
        assert_int_equal(u.size, 5); /* for the client, who asks where to go on */
    }
    chunk.first = 5;
    chunk.range_size = chunk.size + 1;
    REFUSED(f, upload_append(&f->reg, &u, &chunk, &f->err), ERR_BAD_SIZE);
    chunk.range_size = chunk.size;
    OK(f, upload_append(&f->reg, &u, &chunk, &f->err));
    OK(f, finish(f, &u, "12345678"));
}

static void
a_piece_of_another_length_than_announced_is_refused(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b");
    struct upload_chunk chunk = chunk_of(f, "123");

    chunk.size = 4;
    REFUSED(f, upload_append(&f->reg, &u, &chunk, &f->err), ERR_BAD_SIZE);
    OK(f, append(f, &u, "right"));
    OK(f, finish(f, &u, "right"));
    expect_blob(f, "a/b", "right");
}

static void
bytes_of_another_digest_leave_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b");
    struct digest right = fixture_digest("right"), wrong = fixture_digest("wrong");

    OK(f, append(f, &u, "wrong"));
    REFUSED(f, finish(f, &u, "right"), ERR_DIGEST_MISMATCH);
    expect_no_upload(f, &u);
    assert_int_equal(fixture_layer_files(f), 0);
    assert_false(fixture_has_blob(f, "a/b", &right));
    assert_false(fixture_has_blob(f, "a/b", &wrong));
    REFUSED(f, append(f, &u, "more"), ERR_NO_UPLOAD);
    assert_int_equal(fixture_entries(f, "uploads"), 1);
}

static void
an_upload_belongs_to_its_repository_and_user(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b"), found, other = begin(f, "c");

    REFUSED(f, upload_find(&f->reg, "c", u.id, &alice, &found, &f->err), ERR_NO_UPLOAD);
    REFUSED(f, upload_find(&f->reg, "a/b", u.id, &bob, &found, &f->err), ERR_NO_UPLOAD);
    REFUSED(f, upload_find(&f->reg, "none", u.id, &alice, &found, &f->err), ERR_NO_UPLOAD);
    REFUSED(f, upload_find(&f->reg, "a/b", other.id, &alice, &found, &f->err), ERR_NO_UPLOAD);
    OK(f, upload_find(&f->reg, "a/b", u.id, &alice, &found, &f->err));
    assert_int_equal(fixture_layer_files(f), 0);
}

static void
somebody_anonymous_may_change_the_address(void **state)
{
    struct fixture *f = *state;
    struct upload u, found;

    OK(f, upload_begin(&f->reg, "a/b", &nobody, &u, &f->err));
    OK(f, upload_find(&f->reg, "a/b", u.id, &nobody_else, &found, &f->err));
}

static void
what_is_no_id_is_no_upload(void **state)
{
    static const char *const ids[] = {
        "",
        ".",
        "..",
        "body",
        "../uploads/body",
        "0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789ABCDEF",
    };
    struct fixture *f = *state;
    struct upload found;

    begin(f, "a/b");
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        REFUSED(f, upload_find(&f->reg, "a/b", ids[i], &alice, &found, &f->err), ERR_NO_UPLOAD);
    assert_int_equal(fixture_entries(f, "uploads/body"), 1);
}

static void
a_cancelled_upload_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b");

    OK(f, append(f, &u, "x"));
    OK(f, upload_cancel(&f->reg, &u, &f->err));
    expect_no_upload(f, &u);
    REFUSED(f, upload_cancel(&f->reg, &u, &f->err), ERR_NO_UPLOAD);
}

static void
a_blob_over_the_limit_is_refused_before_it_is_stored(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b");

    f->reg.max_blob_size = 8;
    OK(f, append(f, &u, "12345"));
    REFUSED(f, append(f, &u, "6789"), ERR_TOO_LARGE);
    expect_no_upload(f, &u); /* it would be too large in smaller pieces, too */
    u = begin(f, "a/b");
    OK(f, append(f, &u, "12345"));
    OK(f, append(f, &u, "678"));
    OK(f, finish(f, &u, "12345678"));
    u = begin(f, "a/b");
    REFUSED(f, append(f, &u, "123456789"), ERR_TOO_LARGE);
    expect_no_upload(f, &u);
}

/* ---- blobs ---- */

static void
a_blob_that_is_there_is_stored_once(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "shared");
    struct rec_blob before, after;

    assert_int_equal(fixture_blob_record(f, &d, &before), 1);
    fixture_blob(f, "a/b", "shared");
    fixture_blob(f, "c", "shared");
    assert_int_equal(fixture_blob_record(f, &d, &after), 1);
    assert_int_equal(after.instance, before.instance);
    assert_true(after.leased_until >= before.leased_until);
    assert_int_equal(fixture_layer_files(f), 1);
    assert_int_equal(fixture_entries(f, "uploads"), 1);
    expect_blob(f, "a/b", "shared");
    expect_blob(f, "c", "shared");
}

static void
a_blob_is_found_only_in_its_repository(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "mine"), none = fixture_digest("none");
    struct blob b;

    fixture_blob(f, "c", "other");
    assert_true(fixture_has_blob(f, "a/b", &d));
    assert_false(fixture_has_blob(f, "c", &d));
    assert_false(fixture_has_blob(f, "a", &d));
    assert_int_equal(blob_find(&f->reg, "c", &d, true, &b, &f->err), 0);
    REFUSED(f, blob_need(&f->reg, "c", &d, true, &b, &f->err), ERR_NO_BLOB);
    REFUSED(f, blob_need(&f->reg, "a/b", &none, false, &b, &f->err), ERR_NO_BLOB);
    REFUSED(f, blob_need(&f->reg, "a", &d, false, &b, &f->err), ERR_NO_REPOSITORY);
}

static void
a_mounted_blob_is_served_without_its_bytes_being_sent(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a/b", "mounted"), none = fixture_digest("none");
    struct rec_repo repo;

    assert_int_equal(blob_mount(&f->reg, &fixture_actor, "c", "a/b", &d, &f->err), 1);
    expect_blob(f, "c", "mounted");
    assert_int_equal(fixture_layer_files(f), 1);
    /* A blob that isn't there can't be mounted, and makes no repository. */
    assert_int_equal(blob_mount(&f->reg, &fixture_actor, "new", "a/b", &none, &f->err), 0);
    assert_int_equal(blob_mount(&f->reg, &fixture_actor, "new", "nowhere", &d, &f->err), 0);
    assert_int_equal(repository_find(&f->reg, "new", &repo, &f->err), 0);
    fixture_blob(f, "other", "x");
    assert_int_equal(blob_mount(&f->reg, &fixture_actor, "new", "other", &d, &f->err), 0);
    assert_false(fixture_has_blob(f, "new", &d));
}

static void
each_repository_has_an_id_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct rec_repo a, b, again;

    OK(f, repository_ensure(&f->reg, "a", &a, &f->err));
    OK(f, repository_ensure(&f->reg, "b", &b, &f->err));
    OK(f, repository_ensure(&f->reg, "a", &again, &f->err));
    assert_int_equal(again.id, a.id);
    assert_true(a.id != b.id && a.id > 0);
    assert_int_equal(again.created, a.created);
    REFUSED(f, repository_need(&f->reg, "c", &a, &f->err), ERR_NO_REPOSITORY);
}

/* ---- expiry ---- */

/* Dates what an upload has as of now, by this program's clock. */
static void
touch(const struct upload *u)
{
    uint64_t now = clock_wall_ms();
    struct timespec then[2] = {{.tv_sec = (time_t)(now / 1000)}, {.tv_sec = (time_t)(now / 1000)}};
    char name[80];

    snprintf(name, sizeof name, "uploads/%s", u->id);
    assert_int_equal(utimensat(AT_FDCWD, name, then, 0), 0);
}

static void
an_upload_that_nobody_goes_on_with_ends_after_the_expiry(void **state)
{
    struct fixture *f = *state;
    struct upload idle = begin(f, "a/b"), busy = begin(f, "a/b"), empty = begin(f, "a/b"), young;
    struct upload found;

    OK(f, append(f, &idle, "x"));
    OK(f, append(f, &busy, "y"));
    fixture_forward_ms(3590 * 1000);
    OK(f, upload_expiry_run(&f->reg, &f->err));
    OK(f, upload_find(&f->reg, "a/b", idle.id, &alice, &found, &f->err));
    OK(f, upload_find(&f->reg, "a/b", empty.id, &alice, &found, &f->err));
    fixture_forward_ms(20 * 1000);
    touch(&busy);
    young = begin(f, "a/b");
    OK(f, upload_expiry_run(&f->reg, &f->err));
    REFUSED(f, upload_find(&f->reg, "a/b", idle.id, &alice, &found, &f->err), ERR_NO_UPLOAD);
    REFUSED(f, upload_find(&f->reg, "a/b", empty.id, &alice, &found, &f->err), ERR_NO_UPLOAD);
    OK(f, upload_find(&f->reg, "a/b", busy.id, &alice, &found, &f->err));
    OK(f, upload_find(&f->reg, "a/b", young.id, &alice, &found, &f->err));
    assert_int_equal(fixture_entries(f, "uploads"), 2);
    OK(f, finish(f, &busy, "y"));
}

#define MINUTE_MS (60ull * 1000)

/* A closing PUT with `text`, or with "" for the bytes that are there; the store can't take it. */
static void
refuse(struct fixture *f, struct upload *u, const char *text, const char *whole)
{
    struct digest d = fixture_digest(whole);
    struct upload_chunk last = text[0] != '\0' ? chunk_of(f, text) : nothing;

    assert_int_equal(rename("layers", "moved"), 0);
    REFUSED(f, upload_finish(&f->reg, u, &last, &d, &f->err), ERR_SYSTEM);
    assert_int_equal(rename("moved", "layers"), 0);
}

static void
an_upload_that_was_refused_by_a_fault_of_ours_ends_after_a_minute(void **state)
{
    struct fixture *f = *state;
    struct upload pieces = begin(f, "a/b"), whole = begin(f, "a/b"), other = begin(f, "a/b");
    struct upload found;

    OK(f, append(f, &pieces, "in pieces"));
    OK(f, append(f, &other, "not refused"));
    refuse(f, &pieces, "", "in pieces");
    refuse(f, &whole, "whole", "whole");
    fixture_forward_ms(MINUTE_MS - 2000);
    OK(f, upload_expiry_run(&f->reg, &f->err));
    OK(f, upload_find(&f->reg, "a/b", pieces.id, &alice, &found, &f->err));
    OK(f, upload_find(&f->reg, "a/b", whole.id, &alice, &found, &f->err));
    fixture_forward_ms(4000);
    OK(f, upload_expiry_run(&f->reg, &f->err));
    REFUSED(f, upload_find(&f->reg, "a/b", pieces.id, &alice, &found, &f->err), ERR_NO_UPLOAD);
    REFUSED(f, upload_find(&f->reg, "a/b", whole.id, &alice, &found, &f->err), ERR_NO_UPLOAD);
    OK(f, finish(f, &other, "not refused"));
    assert_int_equal(fixture_entries(f, "uploads"), 1);
}

static void
a_refused_upload_stays_for_a_client_that_goes_on_with_it(void **state)
{
    struct fixture *f = *state;
    struct upload again = begin(f, "a/b"), sends = begin(f, "a/b"), asks = begin(f, "a/b");
    struct upload_chunk last;
    struct digest d = fixture_digest("sends");

    OK(f, append(f, &again, "again"));
    refuse(f, &again, "", "again");
    refuse(f, &sends, "sends", "sends");
    refuse(f, &asks, "asks", "asks");
    fixture_forward_ms(MINUTE_MS / 2);
    refuse(f, &again, "", "again");
    upload_expiry_put_off(&f->reg, asks.id); /* its body comes slowly */
    last = chunk_of(f, "sends");
    OK(f, upload_append(&f->reg, &sends, &last, &f->err));
    touch(&sends);
    fixture_forward_ms(MINUTE_MS / 2 + 2000);
    OK(f, upload_expiry_run(&f->reg, &f->err));
    OK(f, finish(f, &again, "again"));
    OK(f, upload_finish(&f->reg, &sends, &nothing, &d, &f->err));
    fixture_forward_ms(50 * MINUTE_MS);
    OK(f, upload_expiry_run(&f->reg, &f->err));
    last = chunk_of(f, "asks");
    d = fixture_digest("asks");
    OK(f, upload_finish(&f->reg, &asks, &last, &d, &f->err));
    expect_blob(f, "a/b", "asks");
    expect_no_upload(f, &asks);
}

static void
an_upload_that_a_request_holds_does_not_expire(void **state)
{
    struct fixture *f = *state;
    struct upload u = begin(f, "a/b"), found;
    struct upload_dir held;

    OK(f, append(f, &u, "x"));
    fixture_forward_ms(2 * 60 * MINUTE_MS);
    OK(f, upload_dir_open(f->reg.dirfd, u.id, &held, &f->err));
    OK(f, upload_expiry_run(&f->reg, &f->err));
    OK(f, upload_find(&f->reg, "a/b", u.id, &alice, &found, &f->err));
    upload_dir_close(&held);
    OK(f, upload_expiry_run(&f->reg, &f->err));
    REFUSED(f, upload_find(&f->reg, "a/b", u.id, &alice, &found, &f->err), ERR_NO_UPLOAD);
}

static void
a_directory_without_an_upload_goes_at_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir("uploads/0123456789abcdef0123456789abcdef", 0700), 0);
    OK(f, upload_expiry_run(&f->reg, &f->err));
    assert_int_equal(fixture_entries(f, "uploads"), 1);
}

static void
many_uploads_expire_in_a_few_rounds(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 120; i++)
        begin(f, "a/b");
    fixture_forward_ms(2 * 3600 * 1000);
    OK(f, upload_expiry_run(&f->reg, &f->err));
    OK(f, upload_expiry_run(&f->reg, &f->err));
    struct upload last = begin(f, "a/b");
    struct kv_cursor *c;
    OK(f, kv_cursor_open(kv_reads(f->reg.kv), TABLE_UPLOAD, &c, &f->err));
    assert_int_equal(kv_cursor_seek(c, &(struct kv_range){0}, &f->err), 1);
    assert_true(bytes_equal(kv_cursor_key(c), bytes_str(last.id)));
    assert_int_equal(kv_cursor_next(c, &f->err), 0);
    kv_cursor_close(c);
}

static void
what_is_no_upload_of_ours_stays_and_stops_no_expiry(void **state)
{
    struct fixture *f = *state;
    struct upload idle = begin(f, "a/b");

    OK(f, append(f, &idle, "x"));
    assert_int_equal(mkdir("uploads/lost+found", 0700), 0);
    fdio_close(open("uploads/note", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    /* and the file of an upload that there is not */
    fdio_close(
        open("uploads/0123456789abcdef0123456789abcdef", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    fixture_forward_ms(2 * 3600 * 1000);
    upload_expiry_run(&f->reg, &f->err);
    assert_int_equal(rows(f, &idle), 0);
    assert_int_equal(access("uploads/lost+found", F_OK), 0);
    assert_int_equal(access("uploads/note", F_OK), 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(an_upload_in_pieces_becomes_a_blob),
        TEST(a_last_piece_can_be_sent_again_when_its_commit_failed),
        TEST(an_empty_blob_can_be_pushed),
        TEST(a_blob_may_be_named_by_sha512),
        TEST(a_piece_must_continue_the_upload),
        TEST(a_piece_of_another_length_than_announced_is_refused),
        TEST(bytes_of_another_digest_leave_nothing_behind),
        TEST(an_upload_belongs_to_its_repository_and_user),
        TEST(somebody_anonymous_may_change_the_address),
        TEST(what_is_no_id_is_no_upload),
        TEST(a_cancelled_upload_leaves_nothing),
        TEST(a_blob_over_the_limit_is_refused_before_it_is_stored),
        TEST(a_blob_that_is_there_is_stored_once),
        TEST(a_blob_is_found_only_in_its_repository),
        TEST(a_mounted_blob_is_served_without_its_bytes_being_sent),
        TEST(each_repository_has_an_id_of_its_own),
        TEST(an_upload_that_nobody_goes_on_with_ends_after_the_expiry),
        TEST(an_upload_that_was_refused_by_a_fault_of_ours_ends_after_a_minute),
        TEST(a_refused_upload_stays_for_a_client_that_goes_on_with_it),
        TEST(an_upload_that_a_request_holds_does_not_expire),
        TEST(a_directory_without_an_upload_goes_at_once),
        TEST(many_uploads_expire_in_a_few_rounds),
        TEST(what_is_no_upload_of_ours_stays_and_stops_no_expiry),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
