#include "history_fixture.h"
#include "domain/core/delete.h"
#include "domain/core/garbage.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_trash.h"

const struct actor history_bob = {.user = "bob", .address = "192.0.2.2"};
const struct actor history_admin = {.user = "command:root", .address = "", .administrator = true};

int
history_store(void **state)
{
    struct fixture *f;

    if (fixture_store(state) != 0)
        return -1;
    f = *state;
    f->reg.history_keep_ms = HISTORY_KEEP_MS;
    f->reg.file_grace_ms = 0;
    return 0;
}

struct digest
history_image(struct fixture *f, const char *repository, const char *tag, const char *layer)
{
    struct digest c = fixture_blob(f, repository, "config"), l = fixture_blob(f, repository, layer);
    struct push p;

    OK(f, fixture_push(f, repository, tag, fixture_image(f, &c, &l, ""), OCI_IMAGE, &p));
    return p.digest;
}

void
history_untag(struct fixture *f, const char *repository, const char *tag)
{
    OK(f, delete_tag(&f->reg, repository, tag, NULL, &history_bob, &f->arena, &f->err));
}

void
history_forget(struct fixture *f, const char *repository, const struct digest *d)
{
    OK(f, delete_manifest(&f->reg, repository, d, NULL, &history_bob, &f->arena, &f->err));
}

void
history_pass(struct fixture *f, unsigned hours)
{
    for (unsigned i = 0; i < hours; i++) {
        int rc = 1;

        fixture_forward_ms(HISTORY_HOUR_MS + 1000);
        while ((rc = garbage_step(&f->reg, &f->err)) == 1)
            ;
        OK(f, rc);
    }
}

void
history_expect_no_edges(struct fixture *f, const struct digest *d)
{
    for (int kind = EDGE_HELD; kind < EDGE_KEEPS_END; kind++)
        assert_int_equal(tbl_edge_any(kv_reads(f->reg.kv), d, (enum edge_kind)kind, &f->err), 0);
}

struct undo
history_undo_of(const char *repository, const char *tag)
{
    return (struct undo){.repository = repository, .tag = tag, .actor = &history_admin};
}

uint64_t
history_repository_id(struct fixture *f, const char *repository)
{
    struct rec_repo r;

    OK(f, repository_need(&f->reg, repository, &r, &f->err));
    return r.id;
}

bool
history_has(struct fixture *f, const char *repository, const struct digest *d)
{
    struct reference r = {.digest = *d};
    struct pulled got;

    if (pull_manifest(&f->reg, repository, &r, true, &f->arena, &got, &f->err) == 0)
        return true;
    assert_int_equal(f->err.code, ERR_NO_MANIFEST);
    return false;
}

bool
history_is_trashed(struct fixture *f, const char *repository, const struct digest *d)
{
    struct rec_trash r;
    int rc =
        tbl_trash_get(kv_reads(f->reg.kv), history_repository_id(f, repository), d, &r, &f->err);

    assert_in_range(rc, 0, 1);
    return rc == 1;
}

struct digest
history_named(struct fixture *f, const char *repository, const char *tag)
{
    struct rec_tag r = {.target = {.algo = DIGEST_NONE}};

    assert_in_range(
        tbl_tag_get(kv_reads(f->reg.kv), history_repository_id(f, repository), tag, &r, &f->err), 0,
        1);
    return r.target;
}

void
history_expect_named(struct fixture *f, const char *repository, const char *tag,
                     const struct digest *d)
{
    struct digest got = history_named(f, repository, tag);

    assert_true(digest_equal(&got, d));
    assert_true(history_has(f, repository, d));
    assert_false(history_is_trashed(f, repository, d));
}
