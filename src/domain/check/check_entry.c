#include "domain/check/check_entry.h"
#include "storage/tables/key.h"
#include "storage/tables/tbl_entry.h"
#include "storage/tables/tbl_repo_name.h"

/* ---- keys ---- */

static void
read_tally_key(struct check_entry *e, struct unpack *u)
{
    e->tally.kind = (enum tally_kind)unpack_u8(u);
    if (e->tally.kind == TALLY_TAGS)
        e->tally.repo = e->repo = unpack_u64(u);
    if (e->tally.kind == TALLY_UPLOADS) {
        key_take_text(u, e->text, sizeof e->text);
        e->tally.owner = e->text;
    }
    u->bad = u->bad || e->tally.kind < TALLY_REPOSITORIES || e->tally.kind > TALLY_UPLOADS;
}

/* repository, tag NUL, sequence */
static void
read_tag_log_key(struct check_entry *e, struct unpack *u)
{
    struct bytes tag;

    e->repo = unpack_u64(u);
    u->bad = u->bad || u->n < 9 || u->n - 9 >= sizeof e->text;
    tag = unpack_bytes(u, u->bad ? 0 : u->n - 9);
    memcpy(e->text, tag.p, tag.n);
    e->text[tag.n] = '\0';
    u->bad = u->bad || unpack_u8(u) != 0;
    unpack_u64(u);
}

static void
read_edge_key(struct check_entry *e, struct unpack *u)
{
    tbl_edge_take(u, &e->edge, e->text);
    e->digest = e->edge.to;
    e->repo = e->edge.repo;
}

static void
read_entry_key(struct check_entry *e, struct unpack *u)
{
    switch (e->table) {
    case TABLE_META:
    case TABLE_REPO:
    case TABLE_UPLOAD:
        key_take_text(u, e->text, sizeof e->text);
        break;
    case TABLE_REPO_NAME:
        e->repo = unpack_u64(u);
        break;
    case TABLE_TAG:
    case TABLE_PULL:
        e->repo = unpack_u64(u);
        key_take_text(u, e->text, sizeof e->text);
        break;
    case TABLE_TALLY:
        read_tally_key(e, u);
        break;
    case TABLE_TAG_LOG:
        read_tag_log_key(e, u);
        break;
    case TABLE_MANIFEST:
    case TABLE_TRASH:
        e->repo = unpack_u64(u);
        unpack_digest(u, &e->digest);
        break;
    case TABLE_IMAGE:
    case TABLE_CONTENT:
    case TABLE_BLOB:
    case TABLE_DAMAGE:
    case TABLE_QUOTA:
        unpack_digest(u, &e->digest);
        break;
    case TABLE_EDGE:
        read_edge_key(e, u);
        break;
    case TABLE_JOB:
        e->job.kind = (enum job_kind)unpack_u8(u);
        e->job.due = unpack_u64(u);
        unpack_digest(u, &e->job.digest);
        break;
    default: /* hook, event */
        unpack_rest(u);
        break;
    }
}

int
check_entry_read(struct check *c, struct check_entry *e)
{
    const struct record *record = tbl_entry_record(e->table);
    struct unpack u = unpack_of(e->key);
    struct err err;

    e->repo = 0;
    e->text[0] = '\0';
    e->digest = (struct digest){.algo = DIGEST_NONE};
    e->edge = (struct edge){.repo = 0};
    e->tally = (struct tally){.repo = 0};
    read_entry_key(e, &u);
    if (!unpack_done(&u))
        return check_fails(c, "its key can't be read");
    if (record != NULL && record_decode(record, &e->r, e->val, &err) != 0)
        return check_fails(c, "its record can't be read");
    return 1;
}

/* ---- names ---- */

void
check_entry_repo(struct check *c, uint64_t repo, char out[RECORD_REPOSITORY_MAX + 1])
{
    struct rec_repo_name r;
    struct err ignored;

    if (tbl_repo_name_get(kv_reads(c->reg->kv), repo, &r, &ignored) == 1)
        memcpy(out, r.name, sizeof r.name);
    else
        snprintf(out, RECORD_REPOSITORY_MAX + 1, "repository %llu", (unsigned long long)repo);
}

static void
name_edge(const struct edge *e, const char *repo, char out[CHECK_WHAT_MAX])
{
    static const char *const kinds[] = {
        [EDGE_HELD] = "held",       [EDGE_TAG] = "tag",         [EDGE_CHILD] = "child",
        [EDGE_PART] = "part",       [EDGE_IMAGE] = "image",     [EDGE_MADE] = "made",
        [EDGE_HISTORY] = "history", [EDGE_TRASHED] = "trashed", [EDGE_TRASH_PART] = "trash-part",
        [EDGE_MEMBER] = "member",   [EDGE_SUBJECT] = "subject", [EDGE_ID] = "id",
        [EDGE_ID_OWN] = "own-id",   [EDGE_ID_PROVEN] = "id",    [EDGE_ID_UNSURE] = "id",
        [EDGE_COUNTED] = "counted",
    };
    char to[DIGEST_TEXT_MAX], from[DIGEST_TEXT_MAX];
    const char *kind = (size_t)e->kind < sizeof kinds / sizeof *kinds ? kinds[e->kind] : NULL;

    digest_text(to, &e->to);
    digest_text(from, &e->from);
    snprintf(out, CHECK_WHAT_MAX, "%s %s %s%s%s", to, kind != NULL ? kind : "?", repo,
             e->tag != NULL    ? ":"
             : from[0] != '\0' ? "@"
                               : "",
             e->tag != NULL ? e->tag : from);
}

void
check_entry_name(struct check *c, const struct check_entry *e, char out[CHECK_WHAT_MAX])
{
    char repo[RECORD_REPOSITORY_MAX + 1] = "", digest[DIGEST_TEXT_MAX];

    digest_text(digest, &e->digest);
    if (e->repo != 0)
        check_entry_repo(c, e->repo, repo);
    switch (e->table) {
    case TABLE_TAG:
    case TABLE_TAG_LOG:
        snprintf(out, CHECK_WHAT_MAX, "%s:%s", repo, e->text);
        break;
    case TABLE_PULL:
        snprintf(out, CHECK_WHAT_MAX, "%s%c%s", repo, strchr(e->text, ':') != NULL ? '@' : ':',
                 e->text);
        break;
    case TABLE_QUOTA:
        snprintf(out, CHECK_WHAT_MAX, "%s", e->r.quota.pattern);
        break;
    case TABLE_MANIFEST:
    case TABLE_TRASH:
        snprintf(out, CHECK_WHAT_MAX, "%s@%s", repo, digest);
        break;
    case TABLE_EDGE:
        name_edge(&e->edge, repo, out);
        break;
    case TABLE_TALLY:
        snprintf(out, CHECK_WHAT_MAX, "%s",
                 e->tally.kind == TALLY_REPOSITORIES ? "repositories"
                 : e->tally.kind == TALLY_TAGS       ? repo
                                                     : e->text);
        break;
    default:
        snprintf(out, CHECK_WHAT_MAX, "%s",
                 digest[0] != '\0'    ? digest
                 : e->text[0] != '\0' ? e->text
                 : repo[0] != '\0'    ? repo
                                      : tables[e->table].name);
        break;
    }
}
