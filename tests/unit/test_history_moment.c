#include "history_fixture.h"
#include <stdlib.h>
#include "domain/core/delete.h"
#include "domain/core/garbage.h"
#include "domain/core/undo.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_trash.h"
#include "storage/tables/tbl_tag_log.h"
#include "domain/core/repository.h"
#include "domain/core/pull.h"

/* Many moves of a tag within one millisecond: nothing that its history tells is lost, and nothing
 * stays. */

static int
count_history_edge(const struct edge *e, void *arg, struct err *err)
{
    (void)e;
    (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned
history_edges(struct fixture *f, const struct digest *d)
{
    unsigned n = 0;

    OK(f, tbl_edge_each(kv_reads(f->reg.kv), d, EDGE_HISTORY, 0, NULL, count_history_edge, &n,
                        &f->err));
    return n;
}

/* The moves 2, 3 and 4 happen at once, so 2 and 4 share the edge to their former target. */
static void
moves_of_one_moment_share_what_they_keep(void **state)
{
    struct fixture *f = *state;
    struct digest a = history_image(f, "a/b", "v1", "a"), b;
    struct undo u = history_undo_of("a/b", "v1");

    fixture_stop_clock(true);
    b = history_image(f, "a/b", "v1", "b");
    history_image(f, "a/b", "v1", "a");
    history_image(f, "a/b", "v1", "b");
    assert_int_equal(history_edges(f, &a), 1);
    for (unsigned i = 0; i < TAG_LOG_KEPT - 2; i++) {
        fixture_forward_ms(2);
        history_image(f, "a/b", "v1", i % 2 == 0 ? "x" : "y");
    }
    /* The history tells the last hundred moves, so it has forgotten 2, and not 4. */
    history_pass(f, 1);
    assert_int_equal(history_edges(f, &a), 1);
    assert_int_equal(history_edges(f, &b), 2);
    history_forget(f, "a/b", &a);
    history_pass(f, 2);
    OK(f, undo_to(&f->reg, &u, 3, &f->err));
    history_expect_named(f, "a/b", "v1", &a);
    history_untag(f, "a/b", "v1"); /* it has forgotten 3 and 4 */
    history_forget(f, "a/b", &a);
    history_pass(f, 8);
    assert_int_equal(history_edges(f, &a), 0);
    assert_int_equal(history_edges(f, &b), 0);
    history_expect_no_edges(f, &a);
    assert_int_equal(fixture_jobs(f, JOB_HISTORY), 0);
    fixture_stop_clock(false);
}

static void
more_moves_of_one_moment_than_the_history_tells(void **state)
{
    struct fixture *f = *state;
    struct digest d[2];
    struct undo u = history_undo_of("a/b", "v1");

    fixture_stop_clock(true);
    for (unsigned i = 0; i < 2 * TAG_LOG_KEPT + 50; i++)
        d[i % 2] = history_image(f, "a/b", "v1", i % 2 == 0 ? "even" : "odd");
    assert_int_equal(history_edges(f, &d[0]), 1);
    assert_int_equal(history_edges(f, &d[1]), 1);
    history_pass(f, 1);
    OK(f, undo_last(&f->reg, &u, &f->err));
    history_expect_named(f, "a/b", "v1", &d[0]);
    history_untag(f, "a/b", "v1");
    history_forget(f, "a/b", &d[0]);
    history_forget(f, "a/b", &d[1]);
    history_pass(f, 1);
    OK(f, undo_restore(&f->reg, &u, &f->err));
    history_expect_named(f, "a/b", "v1", &d[0]);
    history_untag(f, "a/b", "v1");
    history_forget(f, "a/b", &d[0]);
    history_pass(f, 10);
    for (unsigned i = 0; i < 2; i++)
        history_expect_no_edges(f, &d[i]);
    assert_int_equal(fixture_jobs(f, JOB_HISTORY), 0);
    fixture_stop_clock(false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(moves_of_one_moment_share_what_they_keep, history_store,
                                        fixture_done),
        cmocka_unit_test_setup_teardown(more_moves_of_one_moment_than_the_history_tells,
                                        history_store, fixture_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
