#include "domain/core/tag_history.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_tag.h"
#include "util/utf8.h"

static int
add_history_move(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err)
{
    struct tag_history *h = arg;
    struct tag_history_move *m = &h->v[h->n++];

    (void)err;
    *m = (struct tag_history_move){.number = seq, .r = *r};
    utf8_mend(m->r.by);
    return h->n == TAG_LOG_KEPT;
}

static void
reverse_history(struct tag_history *h)
{
    for (size_t i = 0; i < h->n / 2; i++) {
        struct tag_history_move m = h->v[i];

        h->v[i] = h->v[h->n - 1 - i];
        h->v[h->n - 1 - i] = m;
    }
}

int
tag_history_read(const struct registry *reg, const char *repository, const char *tag,
                 struct tag_history *h, struct err *err)
{
    struct rec_repo repo;
    int rc;

    h->n = 0;
    if (repository_need(reg, repository, &repo, err) != 0)
        return -1;
    h->repo = repo.id;
    rc = tbl_tag_get(kv_reads(reg->kv), repo.id, tag, &h->tag, err);
    if (rc < 0 || tbl_tag_log_each(kv_reads(reg->kv), repo.id, tag, add_history_move, h, err) != 0)
        return -1;
    h->is_there = rc == 1;
    if (rc == 1)
        utf8_mend(h->tag.by);
    if (rc == 0 && h->n == 0)
        return err_set(err, ERR_NO_MANIFEST, "repository %s has no tag %s, and no history of it",
                       repository, tag);
    reverse_history(h);
    return 0;
}
