#include "store_fixture.h"
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

#define SECOND 1000ull
#define HOUR (3600 * SECOND) /* a lease */
#define KEEP (6 * HOUR)

static const struct actor bob = {.user = "bob", .address = "192.0.2.2"};
static const struct actor admin = {.user = "command:root", .address = "", .administrator = true};

static int
history_store(void **state)
{
    struct fixture *f;

    if (fixture_store(state) != 0)
        return -1;
    f = *state;
    f->reg.history_keep_ms = KEEP;
    f->reg.file_grace_ms = 0;
    return 0;
}

static struct digest
image(struct fixture *f, const char *repository, const char *tag, const char *layer)
{
    struct digest c = fixture_blob(f, repository, "config"), l = fixture_blob(f, repository, layer);
    struct push p;

    OK(f, fixture_push(f, repository, tag, fixture_image(f, &c, &l, ""), OCI_IMAGE, &p));
    return p.digest;
}

static void
untag(struct fixture *f, const char *repository, const char *tag)
{
    OK(f, delete_tag(&f->reg, repository, tag, NULL, &bob, &f->arena, &f->err));
}

static void
forget(struct fixture *f, const char *repository, const struct digest *d)
{
    OK(f, delete_manifest(&f->reg, repository, d, NULL, &bob, &f->arena, &f->err));
}

static void
pass(struct fixture *f, unsigned hours)
{
    for (unsigned i = 0; i < hours; i++) {
        int rc = 1;

        fixture_forward_ms(HOUR + SECOND);
        while ((rc = garbage_step(&f->reg, &f->err)) == 1)
            ;
        OK(f, rc);
    }
}

static void
expect_edges_gone(struct fixture *f, const struct digest *d)
{
    for (int kind = EDGE_HELD; kind < EDGE_KEEPS_END; kind++)
        assert_int_equal(tbl_edge_any(kv_reads(f->reg.kv), d, (enum edge_kind)kind, &f->err), 0);
}

static struct undo
undo_of(const char *repository, const char *tag)
{
    return (struct undo){.repository = repository, .tag = tag, .actor = &admin};
}

static int
count_history_edge(const struct edge *e, void *arg, struct err *err)
{
    (void)e;
    (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static uint64_t
id_of(struct fixture *f, const char *repository)
{
    struct rec_repo r;

    OK(f, repository_need(&f->reg, repository, &r, &f->err));
    return r.id;
}

static bool
has(struct fixture *f, const char *repository, const struct digest *d)
{
    struct reference r = {.digest = *d};
    struct pulled got;

    if (pull_manifest(&f->reg, repository, &r, true, &f->arena, &got, &f->err) == 0)
        return true;
    assert_int_equal(f->err.code, ERR_NO_MANIFEST);
    return false;
}

static bool
is_trashed(struct fixture *f, const char *repository, const struct digest *d)
{
    struct rec_trash r;
    int rc = tbl_trash_get(kv_reads(f->reg.kv), id_of(f, repository), d, &r, &f->err);

    assert_in_range(rc, 0, 1);
    return rc == 1;
}

static struct digest
named(struct fixture *f, const char *repository, const char *tag)
{
    struct rec_tag r = {.target = {.algo = DIGEST_NONE}};

    assert_in_range(tbl_tag_get(kv_reads(f->reg.kv), id_of(f, repository), tag, &r, &f->err), 0, 1);
    return r.target;
}

static void
expect_named(struct fixture *f, const char *repository, const char *tag, const struct digest *d)
{
    struct digest got = named(f, repository, tag);

    assert_true(digest_equal(&got, d));
    assert_true(has(f, repository, d));
    assert_false(is_trashed(f, repository, d));
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
    struct digest a = image(f, "a/b", "v1", "a"), b;
    struct undo u = undo_of("a/b", "v1");

    fixture_stop_clock(true);
    b = image(f, "a/b", "v1", "b");
    image(f, "a/b", "v1", "a");
    image(f, "a/b", "v1", "b");
    assert_int_equal(history_edges(f, &a), 1);
    for (unsigned i = 0; i < TAG_LOG_KEPT - 2; i++) {
        fixture_forward_ms(2);
        image(f, "a/b", "v1", i % 2 == 0 ? "x" : "y");
    }
    /* The history tells the last hundred moves, so it has forgotten 2, and not 4. */
    pass(f, 1);
    assert_int_equal(history_edges(f, &a), 1);
    assert_int_equal(history_edges(f, &b), 2);
    forget(f, "a/b", &a);
    pass(f, 2);
    OK(f, undo_to(&f->reg, &u, 3, &f->err));
    expect_named(f, "a/b", "v1", &a);
    untag(f, "a/b", "v1"); /* it has forgotten 3 and 4 */
    forget(f, "a/b", &a);
    pass(f, 8);
    assert_int_equal(history_edges(f, &a), 0);
    assert_int_equal(history_edges(f, &b), 0);
    expect_edges_gone(f, &a);
    assert_int_equal(fixture_jobs(f, JOB_HISTORY), 0);
    fixture_stop_clock(false);
}

static void
more_moves_of_one_moment_than_the_history_tells(void **state)
{
    struct fixture *f = *state;
    struct digest d[2];
    struct undo u = undo_of("a/b", "v1");

    fixture_stop_clock(true);
    for (unsigned i = 0; i < 2 * TAG_LOG_KEPT + 50; i++)
        d[i % 2] = image(f, "a/b", "v1", i % 2 == 0 ? "even" : "odd");
    assert_int_equal(history_edges(f, &d[0]), 1);
    assert_int_equal(history_edges(f, &d[1]), 1);
    pass(f, 1);
    OK(f, undo_last(&f->reg, &u, &f->err));
    expect_named(f, "a/b", "v1", &d[0]);
    untag(f, "a/b", "v1");
    forget(f, "a/b", &d[0]);
    forget(f, "a/b", &d[1]);
    pass(f, 1);
    OK(f, undo_restore(&f->reg, &u, &f->err));
    expect_named(f, "a/b", "v1", &d[0]);
    untag(f, "a/b", "v1");
    forget(f, "a/b", &d[0]);
    pass(f, 10);
    for (unsigned i = 0; i < 2; i++)
        expect_edges_gone(f, &d[i]);
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
