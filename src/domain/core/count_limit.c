#include "domain/core/count_limit.h"
#include "storage/tables/tbl_tally.h"

/* Counts one more, if that is allowed: 1; 0: there are *n already; -1. */
static int
add_to_tally(struct txn *t, const struct tally *tally, uint64_t max, uint64_t *n, struct err *err)
{
    int rc = tbl_tally_get_for_update(t, tally, n, err);

    if (rc < 0)
        return -1;
    if (rc == 0)
        *n = 0;
    if (max > 0 && *n >= max)
        return 0;
    return tbl_tally_put(t, tally, *n + 1, err) == 0 ? 1 : -1;
}

static int
drop_from_tally(struct txn *t, const struct tally *tally, struct err *err)
{
    uint64_t n;
    int rc = tbl_tally_get_for_update(t, tally, &n, err);

    if (rc != 1)
        return rc;
    return tbl_tally_put(t, tally, n > 0 ? n - 1 : 0, err);
}

static int
add_limit_facts(uint64_t max, uint64_t n, const char *what, struct err *err)
{
    err_expected(err, "at most %llu %s", (unsigned long long)max, what);
    return err_found(err, "%llu, and one more", (unsigned long long)n);
}

static const struct tally repositories = {.kind = TALLY_REPOSITORIES};

static int
refuse_repository(const struct registry *reg, uint64_t n, struct err *err)
{
    err_set(
        err, ERR_FULL,
        "the limit of repositories is %llu (--max-repositories), and there are %llu: push to one "
        "of them, delete all that is in one, or have the limit raised",
        (unsigned long long)reg->max_repositories, (unsigned long long)n);
    return add_limit_facts(reg->max_repositories, n, "repositories", err);
}

int
count_limit_add_repository(struct txn *t, const struct registry *reg, struct err *err)
{
    uint64_t n;
    int rc = add_to_tally(t, &repositories, reg->max_repositories, &n, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    return refuse_repository(reg, n, err);
}

int
count_limit_check_repository(const struct registry *reg, struct err *err)
{
    uint64_t n = 0;
    int rc = tbl_tally_get(kv_reads(reg->kv), &repositories, &n, err);

    if (rc < 0)
        return -1;
    if (reg->max_repositories == 0 || n < reg->max_repositories)
        return 0;
    return refuse_repository(reg, n, err);
}

int
count_limit_add_tag(struct txn *t, const struct registry *reg, uint64_t repo, struct err *err)
{
    const struct tally tags = {.kind = TALLY_TAGS, .repo = repo};
    uint64_t n;
    int rc = add_to_tally(t, &tags, reg->max_tags, &n, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    err_set(
        err, ERR_FULL,
        "the limit of tags is %llu (--max-tags), and the repository has %llu: delete some, or have "
        "the limit raised",
        (unsigned long long)reg->max_tags, (unsigned long long)n);
    return add_limit_facts(reg->max_tags, n, "tags in a repository", err);
}

int
count_limit_add_upload(struct txn *t, const struct registry *reg, const char *owner,
                       struct err *err)
{
    const struct tally uploads = {.kind = TALLY_UPLOADS, .owner = owner};
    uint64_t n;
    int rc = add_to_tally(t, &uploads, reg->max_uploads, &n, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    err_set(err, ERR_TOO_MANY,
            "the limit of uploads in progress is %llu (--max-uploads), and %s has %llu: finish or "
            "cancel some (DELETE of their Location), or wait until they expire",
            (unsigned long long)reg->max_uploads, owner, (unsigned long long)n);
    return add_limit_facts(reg->max_uploads, n, "uploads in progress", err);
}

int
count_limit_drop_repository(struct txn *t, struct err *err)
{
    return drop_from_tally(t, &repositories, err);
}

int
count_limit_drop_tag(struct txn *t, uint64_t repo, struct err *err)
{
    const struct tally tags = {.kind = TALLY_TAGS, .repo = repo};

    return drop_from_tally(t, &tags, err);
}

int
count_limit_drop_upload(struct txn *t, const char *owner, struct err *err)
{
    const struct tally uploads = {.kind = TALLY_UPLOADS, .owner = owner};

    return drop_from_tally(t, &uploads, err);
}
