#include "domain/core/delete_all.h"
#include "domain/access/immutable.h"
#include "domain/core/delete.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_tag.h"

/* Bytes of memory for one deletion: for the document of its target. */
#define ONE_DELETION_MEMORY (16u << 20)

static int
copy_first_tag(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    (void)r;
    (void)err;
    snprintf(arg, RECORD_TAG_MAX + 1, "%s", tag);
    return 1;
}

/* A tag that somebody else deletes meanwhile isn't counted. */
static int
delete_next_tag(const struct registry *reg, const char *repository, const char *tag,
                const struct actor *actor, size_t *n, struct err *err)
{
    struct arena arena;
    int rc;

    arena_init(&arena, ONE_DELETION_MEMORY);
    rc = delete_tag(reg, repository, tag, NULL, actor, &arena, err);
    arena_reset(&arena);
    *n += rc == 0;
    return rc == 0 || err->code == ERR_NO_MANIFEST || err->code == ERR_NO_REPOSITORY ? 0 : -1;
}

struct immutable_scan {
    const struct registry *reg;
    const char *repository;
    const struct actor *actor;
};

static int
refuse_immutable(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    const struct immutable_scan *s = arg;

    return immutable_check(s->reg, s->actor, s->repository, tag, &r->target, err);
}

/* Before the first tag is deleted. */
static int
check_no_immutable(const struct registry *reg, const char *repository, uint64_t repo,
                   const struct actor *actor, struct err *err)
{
    struct immutable_scan s = {reg, repository, actor};

    if (reg->immutable_n == 0)
        return 0;
    return tbl_tag_each(kv_reads(reg->kv), repo, "", refuse_immutable, &s, err);
}

int
delete_all_tags(const struct registry *reg, const char *repository, const struct actor *actor,
                size_t *n, struct err *err)
{
    char tag[RECORD_TAG_MAX + 1] = "", next[RECORD_TAG_MAX + 1];
    struct rec_repo repo;
    int rc = repository_find(reg, repository, &repo, err);

    *n = 0;
    if (rc == 1 && check_no_immutable(reg, repository, repo.id, actor, err) != 0)
        return -1;
    while (rc == 1) {
        next[0] = '\0';
        if (tbl_tag_each(kv_reads(reg->kv), repo.id, tag, copy_first_tag, next, err) != 0)
            return -1;
        if (next[0] == '\0')
            break;
        memcpy(tag, next, sizeof tag);
        if (delete_next_tag(reg, repository, tag, actor, n, err) != 0)
            return -1;
    }
    return rc < 0 ? -1 : 0;
}
