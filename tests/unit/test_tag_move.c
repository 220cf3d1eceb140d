/* A tag's record, edge, history, count and event change together, whoever moves it. */
#include "store_fixture.h"
#include "domain/core/repository.h"
#include "domain/core/tag_move.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"

static const struct actor ann = {.user = "ann", .address = ""};

struct case_of_move {
    struct tag_move move;
    struct tag_move_tag tags[2];
};

/* A move of tags "a" and "b", or of the first alone, of repository r to the digest of that text;
 * NULL deletes them. */
static struct case_of_move *
move_to(struct fixture *f, size_t n, const char *text)
{
    static struct case_of_move c;
    struct rec_repo r;

    OK(f, repository_ensure(&f->reg, "r", &r, &f->err));
    c = (struct case_of_move){.tags = {{.name = "a"}, {.name = "b"}}};
    c.move = (struct tag_move){
        .reg = &f->reg, .repo = r.id, .actor = &ann, .tags = c.tags, .n = n, .arena = &f->arena};
    if (text != NULL)
        c.move.to = fixture_digest(text);
    return &c;
}

static int
do_move(struct txn *t, void *arg, struct err *err)
{
    struct tag_move *m = arg;
    struct rec_event e = {.type = m->to.algo == DIGEST_NONE ? EVENT_UNTAG : EVENT_TAG,
                          .digest = m->to,
                          .repository = "r"};
    struct edge_batch edges = {.n = 0};

    if (tag_move_records(t, m, err) != 0 || tag_move_edges(t, m, &edges, err) != 0)
        return -1;
    return tag_move_events(t, m, &e, err);
}

static int
run_move(struct fixture *f, struct case_of_move *c)
{
    return txn_run(f->reg.kv, do_move, &c->move, &f->err);
}

static void
names(struct fixture *f, const char *tag, const char *text)
{
    struct digest d = text != NULL ? fixture_digest(text) : (struct digest){.algo = DIGEST_NONE};
    struct rec_tag r;
    struct rec_repo repo;
    int rc;

    OK(f, repository_need(&f->reg, "r", &repo, &f->err));
    rc = tbl_tag_get(kv_reads(f->reg.kv), repo.id, tag, &r, &f->err);
    assert_int_equal(rc, text != NULL);
    assert_true(text == NULL || digest_equal(&r.target, &d));
}

static bool
has_edge(struct fixture *f, const char *tag, const char *text)
{
    struct edge e = {.to = fixture_digest(text), .kind = EDGE_TAG, .tag = tag};
    struct rec_repo repo;
    int rc;

    OK(f, repository_need(&f->reg, "r", &repo, &f->err));
    e.repo = repo.id;
    rc = tbl_edge_has(kv_reads(f->reg.kv), &e, &f->err);
    assert_in_range(rc, 0, 1);
    return rc == 1;
}

static int
count_log(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err)
{
    (void)seq;
    (void)err;
    assert_string_equal(r->by, "ann");
    ++*(int *)arg;
    return 0;
}

static int
log_length(struct fixture *f, const char *tag)
{
    struct rec_repo repo;
    int n = 0;

    OK(f, repository_need(&f->reg, "r", &repo, &f->err));
    OK(f, tbl_tag_log_each(kv_reads(f->reg.kv), repo.id, tag, count_log, &n, &f->err));
    return n;
}

static int
list_event(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    (void)seq;
    (void)err;
    buf_putf(arg, "%s%s%s;", r->type == EVENT_TAG ? "+" : "-", r->tag,
             r->old.algo != DIGEST_NONE ? " moved" : "");
    return 0;
}

static void
events_are(struct fixture *f, const char *want)
{
    struct buf b;

    buf_init(&b, 10000);
    OK(f, tbl_event_each(kv_reads(f->reg.kv), 0, list_event, &b, &f->err));
    assert_string_equal(buf_text(&b), want);
    buf_free(&b);
}

/* ---- the tests ---- */

static void
record_edge_history_and_event_change_together(void **state)
{
    struct fixture *f = *state;

    OK(f, run_move(f, move_to(f, 2, "x")));
    names(f, "a", "x");
    assert_true(has_edge(f, "a", "x") && has_edge(f, "b", "x"));
    OK(f, run_move(f, move_to(f, 1, "y")));
    names(f, "a", "y");
    names(f, "b", "x");
    assert_true(has_edge(f, "a", "y") && !has_edge(f, "a", "x") && has_edge(f, "b", "x"));
    assert_int_equal(log_length(f, "a"), 2);
    assert_int_equal(log_length(f, "b"), 1);
    events_are(f, "+a;+b;+a moved;");
    OK(f, run_move(f, move_to(f, 2, NULL)));
    names(f, "a", NULL);
    assert_false(has_edge(f, "a", "y") || has_edge(f, "b", "x"));
    assert_int_equal(log_length(f, "a"), 3);
    events_are(f, "+a;+b;+a moved;-a;-b;");
}

static void
a_move_to_the_same_target_is_told_but_is_no_history(void **state)
{
    struct fixture *f = *state;
    struct case_of_move *c;

    OK(f, run_move(f, move_to(f, 1, "x")));
    c = move_to(f, 1, "x");
    OK(f, run_move(f, c));
    assert_false(c->tags[0].moves);
    assert_int_equal(log_length(f, "a"), 1);
    assert_true(has_edge(f, "a", "x"));
    events_are(f, "+a;+a moved;");
}

static void
a_tag_that_is_not_as_expected_stops_the_move_of_all(void **state)
{
    struct fixture *f = *state;
    struct case_of_move *c;

    OK(f, run_move(f, move_to(f, 1, "x")));
    c = move_to(f, 2, "y");
    c->tags[1].expects = true;
    c->tags[1].expected = fixture_digest("z"); /* there is no tag b */
    REFUSED(f, run_move(f, c), ERR_BUSY);
    assert_true(c->move.stale);
    names(f, "a", "x");
    names(f, "b", NULL);
    assert_int_equal(log_length(f, "a"), 1);
    events_are(f, "+a;");

    c->tags[1].expected.algo = DIGEST_NONE; /* "there is none" */
    OK(f, run_move(f, c));
    assert_false(c->move.stale);
    names(f, "b", "y");
}

static void
a_silent_move_leaves_no_trace_and_skips_what_it_did_not_expect(void **state)
{
    struct fixture *f = *state;
    struct case_of_move *c;

    OK(f, run_move(f, move_to(f, 2, "x")));
    OK(f, run_move(f, move_to(f, 1, "other")));
    c = move_to(f, 2, "y");
    c->move.silent = true;
    for (int i = 0; i < 2; i++) {
        c->tags[i].expects = true;
        c->tags[i].expected = fixture_digest("x");
    }
    OK(f, run_move(f, c));
    names(f, "a", "other");
    names(f, "b", "y");
    assert_true(has_edge(f, "a", "other") && has_edge(f, "b", "y") && !has_edge(f, "b", "x"));
    assert_int_equal(log_length(f, "b"), 1);
    events_are(f, "+a;+b;+a moved;");
}

static void
a_repository_has_no_more_tags_than_it_may(void **state)
{
    struct fixture *f = *state;

    f->reg.max_tags = 1;
    OK(f, run_move(f, move_to(f, 1, "x")));
    REFUSED(f, run_move(f, move_to(f, 2, "y")), ERR_FULL);
    names(f, "a", "x");
    OK(f, run_move(f, move_to(f, 1, "y"))); /* no new one */
    OK(f, run_move(f, move_to(f, 1, NULL)));
    OK(f, run_move(f, move_to(f, 1, "z"))); /* its place is free again */
}

/* Moves the tag elsewhere the first time that the transaction runs, as another request would have
 * before it. */
static int
do_late_move(struct txn *t, void *arg, struct err *err)
{
    struct tag_move *m = arg;

    if (m->tags[0].expected.algo == DIGEST_NONE)
        m->tags[0].expected = fixture_digest("stale");
    return do_move(t, m, err);
}

static void
a_move_that_comes_too_late_is_judged_again(void **state)
{
    struct fixture *f = *state;
    struct case_of_move *c = move_to(f, 1, "y");

    c->move.asked = true;
    c->tags[0].expects = true;
    OK(f, tag_move_run(&c->move, do_late_move, &c->move, &f->err));
    names(f, "a", "y");
    events_are(f, "+a;");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(record_edge_history_and_event_change_together,
                                        fixture_store, fixture_done),
        cmocka_unit_test_setup_teardown(a_move_to_the_same_target_is_told_but_is_no_history,
                                        fixture_store, fixture_done),
        cmocka_unit_test_setup_teardown(a_tag_that_is_not_as_expected_stops_the_move_of_all,
                                        fixture_store, fixture_done),
        cmocka_unit_test_setup_teardown(
            a_silent_move_leaves_no_trace_and_skips_what_it_did_not_expect, fixture_store,
            fixture_done),
        cmocka_unit_test_setup_teardown(a_repository_has_no_more_tags_than_it_may, fixture_store,
                                        fixture_done),
        cmocka_unit_test_setup_teardown(a_move_that_comes_too_late_is_judged_again, fixture_store,
                                        fixture_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
