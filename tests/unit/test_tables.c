#include "store_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/events/event.h"
#include "domain/inside/index_job.h"
#include "domain/events/outbox.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_job.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_repo.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"
#include "storage/tables/tbl_upload.h"
#include "util/clock.h"

/* ---- one record in, one record out ---- */

static int
single_records(struct txn *t, void *arg, struct err *err)
{
    struct digest d = fixture_digest("a"), other = fixture_digest("b");
    struct rec_repo repo = {.id = 9, .created = 1, .updated = 2};
    struct rec_manifest m = {.size = 5, .media_type = "a/b", .artifact_type = "c/d"};
    struct rec_blob b = {.size = 6, .instance = 7, .leased_until = 8};
    struct rec_upload u = {.repo = 9, .user = "alice"};
    struct rec_tag tag = {.target = d, .by = "alice"};

    (void)arg;
    WANT(tbl_repo_get(t, "a/b", &repo, err) == 0);
    WANT(tbl_repo_put(t, "a/b", &repo, err) == 0);
    WANT(tbl_repo_get_for_update(t, "a/b", &repo, err) == 1 && repo.id == 9 && repo.updated == 2);
    WANT(tbl_repo_get(t, "a", &repo, err) == 0);

    WANT(tbl_upload_put(t, "0123456789abcdef0123456789abcdef", &u, err) == 0);
    WANT(tbl_upload_get(t, "0123456789abcdef0123456789abcdef", &u, err) == 1);
    WANT(u.repo == 9 && strcmp(u.user, "alice") == 0);
    WANT(tbl_upload_drop(t, "0123456789abcdef0123456789abcdef", err) == 0);
    WANT(tbl_upload_drop(t, "0123456789abcdef0123456789abcdef", err) == 0);
    WANT(tbl_upload_get(t, "0123456789abcdef0123456789abcdef", &u, err) == 0);

    WANT(tbl_tag_put(t, 9, "latest", &tag, err) == 0);
    WANT(tbl_tag_get_for_update(t, 9, "latest", &tag, err) == 1 && digest_equal(&tag.target, &d));
    WANT(tbl_tag_get(t, 10, "latest", &tag, err) == 0);
    WANT(tbl_tag_get(t, 9, "lates", &tag, err) == 0);
    WANT(tbl_tag_drop(t, 9, "latest", err) == 0);
    WANT(tbl_tag_drop(t, 9, "latest", err) == 0);
    WANT(tbl_tag_get(t, 9, "latest", &tag, err) == 0);

    WANT(tbl_manifest_put(t, 9, &d, &m, err) == 0);
    WANT(tbl_manifest_get(t, 9, &d, &m, err) == 1 && strcmp(m.artifact_type, "c/d") == 0);
    WANT(tbl_manifest_get(t, 8, &d, &m, err) == 0);
    WANT(tbl_manifest_get(t, 9, &other, &m, err) == 0);
    WANT(tbl_manifest_delete(t, 9, &d, err) == 1);
    WANT(tbl_manifest_get(t, 9, &d, &m, err) == 0);

    WANT(tbl_blob_put(t, &d, &b, err) == 0);
    WANT(tbl_blob_get(t, &d, &b, err) == 1 && b.size == 6 && b.instance == 7);
    WANT(tbl_blob_get_for_update(t, &other, &b, err) == 0);
    WANT(tbl_blob_drop(t, &d, err) == 0);
    WANT(tbl_blob_drop(t, &d, err) == 0);
    WANT(tbl_blob_get(t, &d, &b, err) == 0);
    return 0;
}

static void
what_is_put_is_found_and_what_is_deleted_is_gone(void **state)
{
    fixture_run(*state, single_records, NULL);
}

static int
abandon(struct txn *t, void *arg, struct err *err)
{
    struct rec_repo repo = {.id = 1};

    (void)arg;
    WANT(tbl_repo_put(t, "a", &repo, err) == 0);
    return err_set(err, ERR_DENIED, "no");
}

static void
what_an_aborted_transaction_wrote_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct rec_repo repo;

    REFUSED(f, txn_run(f->reg.kv, abandon, NULL, &f->err), ERR_DENIED);
    assert_int_equal(tbl_repo_get(kv_reads(f->reg.kv), "a", &repo, &f->err), 0);
}

static int
put_names(struct txn *t, void *arg, struct err *err)
{
    char name[RECORD_REPOSITORY_MAX + 1];
    char tag[RECORD_TAG_MAX + 1];
    struct rec_repo repo = {.id = 1};
    struct rec_tag r = {.updated = 1};
    struct rec_tag_log move = {.time = 1}, old;
    struct digest d;
    struct edge e = {.kind = EDGE_TAG, .repo = UINT64_MAX, .tag = tag};

    (void)arg;
    memset(name, 'n', RECORD_REPOSITORY_MAX);
    name[RECORD_REPOSITORY_MAX] = '\0';
    memset(tag, 't', RECORD_TAG_MAX);
    tag[RECORD_TAG_MAX] = '\0';
    digest_of(&d, DIGEST_SHA512, bytes_str("x"));
    e.to = d;
    WANT(tbl_repo_put(t, name, &repo, err) == 0);
    WANT(tbl_repo_get(t, name, &repo, err) == 1);
    WANT(tbl_tag_put(t, UINT64_MAX, tag, &r, err) == 0);
    WANT(tbl_tag_get(t, UINT64_MAX, tag, &r, err) == 1);
    WANT(tbl_tag_log_add(t, UINT64_MAX, tag, &move, &old, err) == 0);
    WANT(tbl_edge_put(t, &e, err) == 0);
    WANT(tbl_edge_has(t, &e, err) == 1);
    e.kind = EDGE_HISTORY;
    e.until = UINT64_MAX;
    WANT(tbl_edge_put(t, &e, err) == 0);
    WANT(tbl_edge_has(t, &e, err) == 1);
    return 0;
}

static void
the_longest_names_fit_their_keys(void **state)
{
    fixture_run(*state, put_names, NULL);
}

/* ---- what is found, as text ---- */

struct listing {
    struct buf text;
    size_t stop_after; /* 0: never */
    size_t n;
};

/* ---- edges ---- */

static int
edges_keep(struct txn *t, void *arg, struct err *err)
{
    static const struct {
        enum edge_kind kind;
        int keeps;
    } kinds[] = {
        {EDGE_HELD, 1},   {EDGE_TAG, 1},     {EDGE_CHILD, 1},      {EDGE_PART, 1},
        {EDGE_IMAGE, 1},  {EDGE_MADE, 1},    {EDGE_HISTORY, 1},    {EDGE_TRASHED, 1},
        {EDGE_MEMBER, 0}, {EDGE_SUBJECT, 0}, {EDGE_TRASH_PART, 1},
    };
    struct digest d = fixture_digest("kept"), from = fixture_digest("from");
    struct edge member = {.to = d, .kind = EDGE_MEMBER, .repo = 1};

    (void)arg;
    WANT(tbl_edge_kept(t, &d, err) == 0);
    WANT(tbl_edge_put(t, &member, err) == 0);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct edge e = {.to = d, .kind = kinds[i].kind, .repo = 2};

        if (kinds[i].kind == EDGE_TAG || kinds[i].kind == EDGE_HISTORY)
            e.tag = "latest";
        else if (kinds[i].kind != EDGE_HELD && kinds[i].kind != EDGE_TRASHED &&
                 kinds[i].kind != EDGE_MEMBER)
            e.from = from;
        WANT(tbl_edge_has(t, &e, err) == 0);
        WANT(tbl_edge_put(t, &e, err) == 0);
        WANT(tbl_edge_put(t, &e, err) == 0);
        WANT(tbl_edge_has(t, &e, err) == 1);
        WANT(tbl_edge_kept(t, &d, err) == kinds[i].keeps);
        WANT(tbl_edge_kept(t, &from, err) == 0);
        WANT(tbl_edge_any(t, &d, kinds[i].kind, err) == 1);
        WANT(tbl_edge_any(t, &d, EDGE_KEEPS_END, err) == 0);
        WANT(tbl_edge_any(t, &from, kinds[i].kind, err) == 0);
        WANT(tbl_edge_delete(t, &e, err) == 1);
        WANT(tbl_edge_delete(t, &e, err) == 0);
        WANT(tbl_edge_any(t, &d, kinds[i].kind, err) == (kinds[i].kind == EDGE_MEMBER));
        WANT(tbl_edge_kept(t, &d, err) == 0);
    }
    return 0;
}

static void
a_digest_is_kept_by_the_keeping_kinds_and_no_others(void **state)
{
    fixture_run(*state, edges_keep, NULL);
}

static int
edges_die(struct txn *t, void *arg, struct err *err)
{
    struct digest d = {.algo = DIGEST_SHA256}, next = d, same_bytes = d, from = fixture_digest("x");
    struct edge others[] = {
        {.to = next, .kind = EDGE_MEMBER, .repo = 1},
        {.to = same_bytes, .kind = EDGE_PART, .repo = 1, .from = from},
    };
    char tag[16];

    (void)arg;
    memset(d.bytes, 0xff, 32); /* the end of a prefix has to be found even so */
    others[0].to.bytes[31] = 0xfe;
    memset(others[1].to.bytes, 0xff, 32);
    others[1].to.algo = DIGEST_V1_ID;
    for (size_t i = 0; i < 2; i++)
        WANT(tbl_edge_put(t, &others[i], err) == 0);
    WANT(tbl_edge_delete_all(t, &d, err) == 0);
    for (uint64_t i = 0; i < 300; i++) {
        struct edge member = {.to = d, .kind = EDGE_MEMBER, .repo = i};
        struct edge tagged = {.to = d, .kind = EDGE_TAG, .repo = 1, .tag = tag};

        snprintf(tag, sizeof tag, "t%d", (int)i);
        WANT(tbl_edge_put(t, &member, err) == 0);
        WANT(tbl_edge_put(t, &tagged, err) == 0);
    }
    WANT(tbl_edge_kept(t, &d, err) == 1);
    WANT(tbl_edge_delete_all(t, &d, err) == 0);
    WANT(tbl_edge_kept(t, &d, err) == 0);
    for (uint64_t i = 0; i < 300; i++) {
        struct edge member = {.to = d, .kind = EDGE_MEMBER, .repo = i};

        WANT(tbl_edge_has(t, &member, err) == 0);
    }
    for (size_t i = 0; i < 2; i++)
        WANT(tbl_edge_has(t, &others[i], err) == 1);
    return 0;
}

static void
no_edge_outlives_its_digest_and_no_other_dies_with_it(void **state)
{
    fixture_run(*state, edges_die, NULL);
}

static void
edges_compare_as_their_keys_sort(void **state)
{
    struct digest a = fixture_digest("a"), b = fixture_digest("b");
    struct edge held = {.to = a, .kind = EDGE_HELD, .repo = 300};
    struct edge tag = {.to = a, .kind = EDGE_TAG, .repo = 2, .tag = "v1"};
    struct edge longer = {.to = a, .kind = EDGE_TAG, .repo = 2, .tag = "v1.0"};
    struct edge far = {.to = a, .kind = EDGE_TAG, .repo = 256, .tag = "a"};
    struct edge other = {.to = b, .kind = EDGE_HELD, .repo = 1};
    bool a_first = digest_compare(&a, &b) < 0;

    (void)state;
    assert_true(tbl_edge_compare(&held, &tag) < 0);
    assert_true(tbl_edge_compare(&tag, &longer) < 0);
    assert_true(tbl_edge_compare(&longer, &tag) > 0);
    assert_true(tbl_edge_compare(&longer, &far) < 0);
    assert_int_equal(tbl_edge_compare(&tag, &tag), 0);
    assert_true((tbl_edge_compare(&far, &other) < 0) == a_first);
}

/* ---- jobs ---- */

static int
put_jobs(struct txn *t, void *arg, struct err *err)
{
    static const uint64_t due[] = {70000, 3, 256, 255, 1ull << 40};

    (void)arg;
    for (size_t i = 0; i < sizeof due / sizeof due[0]; i++) {
        struct job j = {.kind = JOB_UNLINK, .due = due[i], .digest = fixture_digest("a")};
        struct rec_job r = {.tries = 2, .instance = due[i] + 1};

        WANT(tbl_job_put(t, &j, &r, err) == 0);
        j.kind = JOB_INDEX;
        WANT(tbl_job_put(t, &j, &r, err) == 0);
    }
    return 0;
}

static int
see_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct listing *l = arg;
    struct digest d = fixture_digest("a");

    WANT(j->kind == JOB_UNLINK && digest_equal(&j->digest, &d));
    WANT(r->tries == 2 && r->instance == j->due + 1);
    buf_putf(&l->text, "%llu ", (unsigned long long)j->due);
    return ++l->n == l->stop_after;
}

static int
delete_job(struct txn *t, void *arg, struct err *err)
{
    struct job j = {.kind = JOB_UNLINK, .due = 255, .digest = fixture_digest("a")};

    (void)arg;
    WANT(tbl_job_delete(t, &j, err) == 1);
    WANT(tbl_job_delete(t, &j, err) == 0);
    return 0;
}

static void
expect_jobs(struct fixture *f, size_t stop_after, const char *want)
{
    struct listing l = {.stop_after = stop_after};

    buf_init(&l.text, 1000);
    OK(f, tbl_job_each(kv_reads(f->reg.kv), JOB_UNLINK, see_job, &l, &f->err));
    assert_string_equal(buf_text(&l.text), want);
    buf_free(&l.text);
}

static void
jobs_come_in_the_order_in_which_they_are_due(void **state)
{
    struct fixture *f = *state;

    expect_jobs(f, 0, "");
    fixture_run(f, put_jobs, NULL);
    expect_jobs(f, 0, "3 255 256 70000 1099511627776 ");
    expect_jobs(f, 2, "3 255 ");
    fixture_run(f, delete_job, NULL);
    expect_jobs(f, 0, "3 256 70000 1099511627776 ");
}

/* ---- uploads ---- */

static int
put_uploads(struct txn *t, void *arg, struct err *err)
{
    struct rec_upload r = {.repo = 5, .user = "alice"};

    (void)arg;
    WANT(tbl_upload_put(t, "ffffffffffffffffffffffffffffffff", &r, err) == 0);
    WANT(tbl_upload_put(t, "00000000000000000000000000000001", &r, err) == 0);
    return 0;
}

static int
see_upload(const char *id, const struct rec_upload *r, void *arg, struct err *err)
{
    struct listing *l = arg;

    WANT(r->repo == 5);
    buf_putf(&l->text, "%s ", id);
    return 0;
}

static void
all_open_uploads_are_visited(void **state)
{
    struct fixture *f = *state;
    struct listing l = {.n = 0};

    fixture_run(f, put_uploads, NULL);
    buf_init(&l.text, 1000);
    OK(f, tbl_upload_each(kv_reads(f->reg.kv), see_upload, &l, &f->err));
    assert_string_equal(buf_text(&l.text), "00000000000000000000000000000001 "
                                           "ffffffffffffffffffffffffffffffff ");
    buf_free(&l.text);
}

/* ---- events ---- */

static int
append_event(struct txn *t, void *arg, struct err *err)
{
    struct rec_event e = {.type = EVENT_TAG, .time = *(uint64_t *)arg, .repository = "a/b"};

    return tbl_event_append(t, &e, err);
}

static int
see_event(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    struct listing *l = arg;

    WANT(strcmp(r->repository, "a/b") == 0);
    buf_putf(&l->text, "%u:%llu ", (unsigned)seq, (unsigned long long)r->time);
    return 0;
}

static void
expect_events(struct fixture *f, uint32_t from, const char *want)
{
    struct listing l = {.n = 0};

    buf_init(&l.text, 1000);
    OK(f, tbl_event_each(kv_reads(f->reg.kv), from, see_event, &l, &f->err));
    assert_string_equal(buf_text(&l.text), want);
    buf_free(&l.text);
}

static int
delete_event(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    WANT(tbl_event_drop(t, 2, err) == 0);
    WANT(tbl_event_drop(t, 2, err) == 0);
    return 0;
}

static void
events_are_numbered_and_read_from_any_number(void **state)
{
    struct fixture *f = *state;
    uint64_t times[] = {11, 12, 13};

    expect_events(f, 0, "");
    for (size_t i = 0; i < 3; i++)
        fixture_run(f, append_event, &times[i]);
    expect_events(f, 0, "1:11 2:12 3:13 ");
    expect_events(f, 2, "2:12 3:13 ");
    expect_events(f, 4, "");
    fixture_run(f, delete_event, NULL);
    expect_events(f, 0, "1:11 3:13 ");
}

static void
old_events_are_trimmed_and_new_ones_stay(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_wall_ms(), times[] = {1, now - 5000, now};
    char want[64];

    for (size_t i = 0; i < 3; i++)
        fixture_run(f, append_event, &times[i]);
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    snprintf(want, sizeof want, "1:1 2:%llu 3:%llu ", (unsigned long long)times[1],
             (unsigned long long)times[2]);
    expect_events(f, 0, want); /* nobody was told of them yet */
    OK(f, outbox_marks_save(&f->reg, &(struct outbox_marks){.told = 3, .queued = 0}, &f->err));
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    expect_events(f, 0, want);
    OK(f, outbox_marks_save(&f->reg, &(struct outbox_marks){.told = 3, .queued = 3}, &f->err));
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    expect_events(f, 0, want); /* images may still be to be indexed */
    OK(f, outbox_indexed_save(&f->reg, 3, &f->err));
    OK(f, event_trim(&f->reg, now, EVENT_KEPT_MAX, &f->err)); /* nothing is as old as that */
    snprintf(want, sizeof want, "2:%llu 3:%llu ", (unsigned long long)times[1],
             (unsigned long long)times[2]);
    expect_events(f, 2, want);
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    expect_events(f, 0, want);
    fixture_forward_ms(58000);
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    snprintf(want, sizeof want, "3:%llu ", (unsigned long long)times[2]);
    expect_events(f, 0, want);
    fixture_forward_ms(60000);
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    expect_events(f, 0, "");
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
}

static void
of_many_events_the_last_ones_stay(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_wall_ms();
    int rc, calls = 1;

    for (size_t i = 0; i < 1210; i++)
        fixture_run(f, append_event, &now);
    OK(f,
       outbox_marks_save(&f->reg, &(struct outbox_marks){.told = 1210, .queued = 1210}, &f->err));
    OK(f, outbox_indexed_save(&f->reg, 1205, &f->err));
    while ((rc = event_trim(&f->reg, 60000, 10, &f->err)) == 1)
        calls++;
    assert_int_equal(rc, 0);
    assert_int_equal(calls, 3);
    OK(f, outbox_indexed_save(&f->reg, 1210, &f->err));
    OK(f, event_trim(&f->reg, 60000, 7, &f->err));
    OK(f, event_trim(&f->reg, 60000, 2, &f->err));
    {
        char want[80];

        snprintf(want, sizeof want, "1209:%llu 1210:%llu ", (unsigned long long)now,
                 (unsigned long long)now);
        expect_events(f, 0, want);
    }
    OK(f,
       outbox_marks_save(&f->reg, &(struct outbox_marks){.told = 1209, .queued = 1210}, &f->err));
    OK(f, event_trim(&f->reg, 60000, 0, &f->err));
    {
        char want[40];

        snprintf(want, sizeof want, "1210:%llu ", (unsigned long long)now);
        expect_events(f, 0, want); /* nobody was told of it yet */
    }
}

/* ---- what there is once a store ---- */

static int
meta(struct txn *t, void *arg, struct err *err)
{
    uint64_t value = 99;

    (void)arg;
    WANT(tbl_meta_get(t, META_NEXT_REPO, &value, err) == 0);
    WANT(tbl_meta_take_next(t, META_NEXT_REPO, &value, err) == 0 && value == 1);
    WANT(tbl_meta_take_next(t, META_NEXT_REPO, &value, err) == 0 && value == 2);
    WANT(tbl_meta_get(t, META_NEXT_REPO, &value, err) == 1 && value == 3);
    WANT(tbl_meta_put(t, META_FORMAT, STORE_FORMAT, err) == 0);
    WANT(tbl_meta_get(t, META_FORMAT, &value, err) == 1 && value == STORE_FORMAT);
    WANT(kv_put(t, TABLE_META, bytes_str("odd"), bytes_of("1234567", 7), err) == 0);
    WANT(tbl_meta_get(t, "odd", &value, err) == -1 && err->code == ERR_CORRUPT);
    return 0;
}

static void
a_number_is_taken_once(void **state)
{
    fixture_run(*state, meta, NULL);
}

/* ---- large values ---- */

static int
put_content(struct txn *t, void *arg, struct err *err)
{
    struct digest d = fixture_digest("content");

    return tbl_content_put(t, &d, bytes_of(arg, CONTENT_MAX), err);
}

static int
delete_content(struct txn *t, void *arg, struct err *err)
{
    struct digest d = fixture_digest("content");

    (void)arg;
    WANT(tbl_content_drop(t, &d, err) == 0);
    WANT(tbl_content_drop(t, &d, err) == 0);
    return 0;
}

static void
a_document_of_the_largest_size_is_kept_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_digest("content");
    char *bytes = fixture_bytes(CONTENT_MAX, 1);
    struct buf got;

    assert_int_equal(tbl_content_get(kv_reads(f->reg.kv), &d, &got, &f->err), 0);
    buf_free(&got);
    fixture_run(f, put_content, bytes);
    assert_int_equal(tbl_content_get(kv_reads(f->reg.kv), &d, &got, &f->err), 1);
    assert_true(bytes_equal(buf_bytes(&got), bytes_of(bytes, CONTENT_MAX)));
    buf_free(&got);
    fixture_run(f, delete_content, NULL);
    assert_int_equal(tbl_content_get(kv_reads(f->reg.kv), &d, &got, &f->err), 0);
    buf_free(&got);
    free(bytes);
}

/* ids that differ in one byte, in no order */
static struct digest
image_id(unsigned char last)
{
    struct digest id = {.algo = DIGEST_V1_ID};

    id.bytes[31] = last;
    return id;
}

static int
put_images(struct txn *t, void *arg, struct err *err)
{
    struct rec_image r = {.state = IMAGE_LAYER, .by = "bob"};
    struct digest last = image_id(9);

    for (const char *p = "\5\1\3"; *p != '\0'; p++) {
        struct digest id = image_id((unsigned char)*p);

        r.created = (unsigned char)*p;
        WANT(tbl_image_put(t, &id, &r, err) == 0);
    }
    return tbl_content_put(t, &last, bytes_of(arg, CONTENT_JSON_MAX), err);
}

static int
see_image(const struct digest *id, const struct rec_image *r, void *arg, struct err *err)
{
    (void)err;
    assert_int_equal(id->bytes[31], r->created);
    buf_putf(arg, "%llu ", (unsigned long long)r->created);
    return 0;
}

static int
delete_image(struct txn *t, void *arg, struct err *err)
{
    WANT(tbl_image_drop(t, arg, err) == 0);
    WANT(tbl_image_drop(t, arg, err) == 0);
    return 0;
}

static void
images_are_found_and_visited_in_order_and_have_long_jsons(void **state)
{
    struct fixture *f = *state;
    struct digest three = image_id(3), two = image_id(2), last = image_id(9);
    char *bytes = fixture_bytes(CONTENT_JSON_MAX, 2);
    struct rec_image r;
    struct buf seen, json;

    buf_init(&seen, 100);
    fixture_run(f, put_images, bytes);
    assert_int_equal(tbl_image_get(kv_reads(f->reg.kv), &three, &r, &f->err), 1);
    assert_int_equal(r.created, 3);
    assert_string_equal(r.by, "bob");
    assert_int_equal(tbl_image_get(kv_reads(f->reg.kv), &two, &r, &f->err), 0);
    OK(f, tbl_image_each(kv_reads(f->reg.kv), &two, see_image, &seen, &f->err));
    assert_string_equal(buf_text(&seen), "3 5 ");
    fixture_run(f, delete_image, &three);
    assert_int_equal(tbl_image_get(kv_reads(f->reg.kv), &three, &r, &f->err), 0);
    assert_int_equal(tbl_content_get(kv_reads(f->reg.kv), &last, &json, &f->err), 1);
    assert_true(bytes_equal(buf_bytes(&json), bytes_of(bytes, CONTENT_JSON_MAX)));
    buf_free(&json);
    buf_free(&seen);
    free(bytes);
}

static void
no_page_is_larger_than_a_page_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        assert_in_range(tables[i].page_size, 0, 4096);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_found_and_what_is_deleted_is_gone),
        TEST(what_an_aborted_transaction_wrote_is_not_there),
        TEST(the_longest_names_fit_their_keys),
        TEST(a_digest_is_kept_by_the_keeping_kinds_and_no_others),
        TEST(no_edge_outlives_its_digest_and_no_other_dies_with_it),
        TEST(edges_compare_as_their_keys_sort),
        TEST(jobs_come_in_the_order_in_which_they_are_due),
        TEST(all_open_uploads_are_visited),
        TEST(events_are_numbered_and_read_from_any_number),
        TEST(old_events_are_trimmed_and_new_ones_stay),
        TEST(of_many_events_the_last_ones_stay),
        TEST(a_number_is_taken_once),
        TEST(a_document_of_the_largest_size_is_kept_byte_for_byte),
        TEST(no_page_is_larger_than_a_page_of_memory),
        TEST(images_are_found_and_visited_in_order_and_have_long_jsons),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
