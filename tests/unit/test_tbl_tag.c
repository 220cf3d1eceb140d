#include "store_fixture.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"

/* ---- lists ---- */

static int
put_tags(struct txn *t, void *arg, struct err *err)
{
    static const char *const tags[] = {"v1", "v1.0", "v1.0.1", "v10", "v2", "A", "_", "latest"};
    struct rec_tag r = {.updated = 1, .by = "alice"};

    (void)arg;
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        r.updated = i;
        WANT(tbl_tag_put(t, 256, tags[i], &r, err) == 0);
    }
    WANT(tbl_tag_put(t, 255, "before", &r, err) == 0);
    WANT(tbl_tag_put(t, 257, "behind", &r, err) == 0);
    return 0;
}

struct listing {
    struct buf text;
    size_t stop_after; /* 0: never */
    size_t n;
};

static int
see_tag(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct listing *l = arg;

    WANT(strcmp(r->by, "alice") == 0);
    buf_putf(&l->text, "%s ", tag);
    return ++l->n == l->stop_after;
}

static void
expect_tags(struct fixture *f, uint64_t repo, const char *after, size_t stop_after,
            const char *want)
{
    struct listing l = {.stop_after = stop_after};

    buf_init(&l.text, 1000);
    OK(f, tbl_tag_each(kv_reads(f->reg.kv), repo, after, see_tag, &l, &f->err));
    assert_string_equal(buf_text(&l.text), want);
    buf_free(&l.text);
}

static void
tags_are_listed_in_byte_order_from_any_place(void **state)
{
    struct fixture *f = *state;
    char far[2000];

    fixture_run(f, put_tags, NULL);
    expect_tags(f, 256, "", 0, "A _ latest v1 v1.0 v1.0.1 v10 v2 ");
    expect_tags(f, 256, "", 3, "A _ latest ");
    expect_tags(f, 256, "latest", 0, "v1 v1.0 v1.0.1 v10 v2 ");
    expect_tags(f, 256, "v1", 0, "v1.0 v1.0.1 v10 v2 ");
    expect_tags(f, 256, "v1.0", 2, "v1.0.1 v10 ");
    expect_tags(f, 256, "m", 0, "v1 v1.0 v1.0.1 v10 v2 "); /* no tag of that name */
    expect_tags(f, 256, "v2", 0, "");
    expect_tags(f, 256, "zzz", 0, "");
    expect_tags(f, 255, "", 0, "before ");
    expect_tags(f, 258, "", 0, "");
    /* A client's text may be longer than any tag, and than any key. */
    memset(far, 'm', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    expect_tags(f, 256, far, 0, "v1 v1.0 v1.0.1 v10 v2 ");
    far[0] = 'v';
    far[1] = '1';
    expect_tags(f, 256, far, 0, "v2 ");
}

static int
put_longest_tag(struct txn *t, void *arg, struct err *err)
{
    struct rec_tag r = {.by = "alice"};

    return tbl_tag_put(t, 1, arg, &r, err);
}

static void
a_place_behind_the_longest_tag_is_behind_it(void **state)
{
    struct fixture *f = *state;
    char tag[RECORD_TAG_MAX + 2];
    char list[RECORD_TAG_MAX + 3];

    memset(tag, 't', sizeof tag);
    tag[RECORD_TAG_MAX] = '\0';
    fixture_run(f, put_longest_tag, tag);
    snprintf(list, sizeof list, "%s ", tag);
    tag[RECORD_TAG_MAX - 1] = '\0';
    expect_tags(f, 1, tag, 0, list);
    tag[RECORD_TAG_MAX - 1] = 't';
    expect_tags(f, 1, tag, 0, "");
    tag[RECORD_TAG_MAX] = 't';
    tag[RECORD_TAG_MAX + 1] = '\0';
    expect_tags(f, 1, tag, 0, "");
}

static int
fail_tag(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    (void)tag;
    (void)r;
    (void)arg;
    return err_set(err, ERR_DENIED, "enough");
}

static void
a_visit_that_fails_is_a_failure(void **state)
{
    struct fixture *f = *state;

    fixture_run(f, put_tags, NULL);
    REFUSED(f, tbl_tag_each(kv_reads(f->reg.kv), 256, "", fail_tag, NULL, &f->err), ERR_DENIED);
}

/* ---- the history of a tag ---- */

static int
add_moves(struct txn *t, void *arg, struct err *err)
{
    struct rec_tag_log r = {.by = "alice"}, old;

    for (int i = 0; i < 50; i++) {
        r.time = (*(uint64_t *)arg)++;
        WANT(tbl_tag_log_add(t, 1, "v1", &r, &old, err) == 0);
        WANT(old.time == (r.time >= 1000 + TAG_LOG_KEPT ? r.time - TAG_LOG_KEPT : 0));
    }
    return 0;
}

static int
add_neighbours(struct txn *t, void *arg, struct err *err)
{
    struct rec_tag_log r = {.time = 7}, old;

    (void)arg;
    WANT(tbl_tag_log_add(t, 1, "v", &r, &old, err) == 0);
    WANT(tbl_tag_log_add(t, 1, "v1.0", &r, &old, err) == 0);
    WANT(tbl_tag_log_add(t, 2, "v1", &r, &old, err) == 0);
    return 0;
}

struct history {
    uint64_t n;
    uint64_t first_seq, last_seq;
    uint64_t first_time, last_time;
};

static int
see_move(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err)
{
    struct history *h = arg;

    (void)err;
    if (h->n++ == 0) {
        h->first_seq = seq;
        h->first_time = r->time;
    }
    h->last_seq = seq;
    h->last_time = r->time;
    return 0;
}

static struct history
history_of(struct fixture *f, uint64_t repo, const char *tag)
{
    struct history h = {.n = 0};

    OK(f, tbl_tag_log_each(kv_reads(f->reg.kv), repo, tag, see_move, &h, &f->err));
    return h;
}

static void
whether_there_is_any(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(tbl_tag_any(kv_reads(f->reg.kv), 256, &f->err), 0);
    fixture_run(f, put_tags, NULL);
    for (uint64_t repo = 254; repo <= 258; repo++)
        assert_int_equal(tbl_tag_any(kv_reads(f->reg.kv), repo, &f->err),
                         repo >= 255 && repo <= 257);
    assert_int_equal(tbl_tag_any(kv_reads(f->reg.kv), 1, &f->err), 0);
}

static void
a_tag_remembers_its_last_hundred_moves(void **state)
{
    struct fixture *f = *state;
    uint64_t time = 1000;
    struct history h;

    fixture_run(f, add_neighbours, NULL);
    fixture_run(f, add_moves, &time);
    fixture_run(f, add_moves, &time);
    h = history_of(f, 1, "v1");
    assert_int_equal(h.n, TAG_LOG_KEPT);
    assert_int_equal(h.first_time, 1000);
    fixture_run(f, add_moves, &time);
    h = history_of(f, 1, "v1");
    assert_int_equal(h.n, TAG_LOG_KEPT);
    assert_int_equal(h.first_seq, 51);
    assert_int_equal(h.last_seq, 150);
    assert_int_equal(h.first_time, 1050);
    assert_int_equal(h.last_time, 1149);
    assert_int_equal(history_of(f, 1, "v").n, 1);
    assert_int_equal(history_of(f, 1, "v1.0").n, 1);
    assert_int_equal(history_of(f, 2, "v1").n, 1);
    assert_int_equal(history_of(f, 1, "v1.").n, 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(tags_are_listed_in_byte_order_from_any_place),
        TEST(a_place_behind_the_longest_tag_is_behind_it),
        TEST(a_visit_that_fails_is_a_failure),
        TEST(whether_there_is_any),
        TEST(a_tag_remembers_its_last_hundred_moves),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
