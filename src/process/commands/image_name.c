#include "process/commands/image_name.h"
#include "domain/core/repository.h"
#include "domain/name.h"
#include "storage/tables/tbl_tag.h"

static int
parse_digest_or_id(struct digest *d, const char *text, struct err *err)
{
    if (strchr(text, ':') != NULL)
        return digest_parse(d, text, strlen(text), err);
    return digest_parse_v1_id(d, text, strlen(text), err);
}

int
image_name_parse(struct image_name *q, const char *text, struct err *err)
{
    size_t n = strcspn(text, "@:");
    const char *rest = text + n;
    char name[RECORD_REPOSITORY_MAX + 1] = "";
    bool is_digest = (*rest == ':' && digest_algo_named(bytes_of(text, n)) != DIGEST_NONE) ||
                     (*rest == '\0' && n == 64);

    *q = (struct image_name){.digest = {.algo = DIGEST_NONE}};
    if (is_digest)
        return parse_digest_or_id(&q->digest, text, err);
    if (n < sizeof name)
        snprintf(name, sizeof name, "%.*s", (int)n, text);
    if (!name_is_repository(name) || *rest == '\0')
        return err_set(err, ERR_BAD_NAME, "%.200s is not a digest, NAME:TAG or NAME@DIGEST", text);
    memcpy(q->repository, name, sizeof name);
    if (*rest == '@')
        return parse_digest_or_id(&q->digest, rest + 1, err);
    if (!name_is_tag(rest + 1))
        return err_set(err, ERR_BAD_TAG, "%.200s: invalid tag", text);
    snprintf(q->tag, sizeof q->tag, "%s", rest + 1);
    return 0;
}

int
image_name_find(const struct registry *reg, struct image_name *q, struct err *err)
{
    struct rec_repo repo;
    struct rec_tag tag;
    int rc;

    if (q->repository[0] == '\0')
        return 0;
    if (repository_need(reg, q->repository, &repo, err) != 0)
        return -1;
    if (q->tag[0] == '\0')
        return 0;
    rc = tbl_tag_get(kv_reads(reg->kv), repo.id, q->tag, &tag, err);
    if (rc == 0)
        return err_set(err, ERR_NO_MANIFEST, "repository %s has no tag %s", q->repository, q->tag);
    q->digest = tag.target;
    return rc < 0 ? -1 : 0;
}
