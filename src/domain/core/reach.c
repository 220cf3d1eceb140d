#include "domain/core/reach.h"
#include <stdio.h>
#include <string.h>
#include "domain/core/history.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_trash.h"

struct reach_search {
    const struct gone_set *gone;
    struct reach *out;
};

static bool
counts_as_gone(const struct gone_set *gone, uint64_t repo, const struct digest *d)
{
    return gone != NULL && gone_set_has(gone, repo, d);
}

static int
take_first_tag(const struct edge *e, void *arg, struct err *err)
{
    struct reach_search *s = arg;

    (void)err;
    s->out->kind = REACH_TAG;
    snprintf(s->out->tag, sizeof s->out->tag, "%s", e->tag);
    return 1;
}

static int
take_first_index(const struct edge *e, void *arg, struct err *err)
{
    struct reach_search *s = arg;

    (void)err;
    if (counts_as_gone(s->gone, e->repo, &e->from))
        return 0;
    s->out->kind = REACH_INDEX;
    s->out->by = e->from;
    return 1;
}

static int
take_last_history(const struct edge *e, void *arg, struct err *err)
{
    struct reach_search *s = arg;

    (void)err;
    if (e->until < s->out->until)
        return 0;
    s->out->kind = REACH_HISTORY;
    s->out->until = e->until;
    snprintf(s->out->tag, sizeof s->out->tag, "%s", e->tag);
    return 0;
}

static int
take_tag_name(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    (void)r;
    (void)err;
    snprintf(arg, RECORD_TAG_MAX + 1, "%s", tag);
    return 1;
}

/* sha256-<hex>, or that and a dot with something behind. */
static int
find_tag_name(struct txn *t, uint64_t repo, const struct digest *d, struct reach *out,
              struct err *err)
{
    char hex[DIGEST_TEXT_MAX], name[DIGEST_TEXT_MAX + 8], before[DIGEST_TEXT_MAX + 10];
    char found[RECORD_TAG_MAX + 1] = "";
    struct rec_tag r;
    size_t n;
    int rc;

    digest_hex(hex, d);
    n = (size_t)snprintf(name, sizeof name, "%s-%s", digest_algo_name(d->algo), hex);
    if (n > RECORD_TAG_MAX)
        return 0;
    rc = tbl_tag_get(t, repo, name, &r, err);
    if (rc == 1)
        memcpy(found, name, n + 1);
    /* Names that begin with "<name>-" come before "<name>.". */
    snprintf(before, sizeof before, "%s-\x7f", name);
    if (rc < 0 || (rc == 0 && tbl_tag_each(t, repo, before, take_tag_name, found, err) != 0))
        return -1;
    if (rc == 0 && (strncmp(found, name, n) != 0 || found[n] != '.'))
        return 0;
    out->kind = REACH_TAG_NAME;
    memcpy(out->tag, found, sizeof out->tag);
    return 1;
}

static int
find_subject(struct txn *t, uint64_t repo, const struct digest *subject,
             const struct gone_set *gone, struct reach *out, struct err *err)
{
    struct rec_manifest r;
    struct rec_trash trash;
    int rc;

    if (subject->algo == DIGEST_NONE || counts_as_gone(gone, repo, subject))
        return 0;
    rc = tbl_manifest_get(t, repo, subject, &r, err);
    if (rc == 0)
        rc = tbl_trash_get(t, repo, subject, &trash, err);
    if (rc == 1) {
        out->kind = REACH_SUBJECT;
        out->by = *subject;
    }
    return rc;
}

int
reach_find(struct txn *t, uint64_t repo, const struct digest *d, const struct digest *subject,
           const struct gone_set *gone, struct reach *out, struct err *err)
{
    struct reach_search s = {gone, out};
    int rc;

    *out = (struct reach){.kind = REACH_NONE};
    rc = find_tag_name(t, repo, d, out, err);
    if (rc == 0)
        rc = find_subject(t, repo, subject, gone, out, err);
    if (rc != 0)
        return rc;
    if (tbl_edge_each(t, d, EDGE_TAG, repo, NULL, take_first_tag, &s, err) != 0 ||
        (out->kind == REACH_NONE &&
         tbl_edge_each(t, d, EDGE_CHILD, repo, NULL, take_first_index, &s, err) != 0) ||
        (out->kind == REACH_NONE &&
         tbl_edge_each(t, d, EDGE_HISTORY, repo, NULL, take_last_history, &s, err) != 0))
        return -1;
    return out->kind != REACH_NONE;
}

uint64_t
reach_end_of_history(const struct registry *reg, uint64_t until)
{
    return until > reg->history_keep_ms ? history_over(reg, until - reg->history_keep_ms) : until;
}
