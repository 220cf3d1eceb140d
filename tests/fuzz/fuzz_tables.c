/* A byte that chooses a table, and one entry of it as it might be on disk: a byte for the length of
 * the key, the key, and the record. Each function that visits the table, or looks for its last
 * entry, sees that entry. */
#include "fuzz.h"
#include "storage/kv/kv_filling.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_hook.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_job.h"
#include "storage/tables/tbl_repo.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"
#include "storage/tables/tbl_upload.h"
#include "util/log.h"
#include "util/pack.h"

/* ---- a store with one entry ---- */

static struct bytes entry_key, entry_val;
static unsigned moves;

static int
compare_keys(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static struct kv_cursor *
open_cursor(struct txn *t, unsigned table, struct err *err)
{
    (void)t;
    (void)table;
    (void)err;
    return calloc(1, sizeof(struct kv_cursor));
}

static void
close_cursor(struct kv_cursor *c)
{
    free(c);
}

static int
seek_entry(struct kv_cursor *c, struct err *err)
{
    int order = compare_keys(entry_key, c->range.from);

    (void)err;
    MUST(++moves < 1000);
    c->key = entry_key;
    c->val = entry_val;
    return order > 0 || (order == 0 && !c->range.behind);
}

static int
next_entry(struct kv_cursor *c, struct err *err)
{
    (void)c;
    (void)err;
    return 0;
}

static int
find_last_entry(struct txn *t, unsigned table, struct bytes prefix, struct buf *key,
                struct buf *val, struct err *err)
{
    (void)t;
    (void)table;
    (void)err;
    MUST(++moves < 1000);
    if (!bytes_start_with(entry_key, prefix))
        return 0;
    buf_reset(key);
    buf_put(key, entry_key.p, entry_key.n);
    (void)val;
    return buf_ok(key);
}

static const struct kv_filling filling = {
    .cursor_open = open_cursor,
    .cursor_close = close_cursor,
    .cursor_seek = seek_entry,
    .cursor_next = next_entry,
    .last = find_last_entry,
};

/* ---- what is handed out ---- */

static int
check_edge(const struct edge *e, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    MUST(e->to.algo <= DIGEST_V1_ID && e->from.algo <= DIGEST_V1_ID);
    MUST(e->tag == NULL || strlen(e->tag) <= RECORD_TAG_MAX);
    return 0;
}

static int
check_target(const struct digest *to, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    MUST(to->algo <= DIGEST_V1_ID);
    return 0;
}

static int
check_tag(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    MUST(strlen(tag) <= RECORD_TAG_MAX && r->target.algo <= DIGEST_V1_ID);
    return 0;
}

static int
check_move(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    (void)seq;
    MUST(r->before.algo <= DIGEST_V1_ID && strlen(r->by) < sizeof r->by);
    return 0;
}

static int
check_any_move(const struct tag_log_place *at, const struct rec_tag_log *r, void *arg,
               struct err *err)
{
    MUST(strlen(at->tag) <= RECORD_TAG_MAX);
    return check_move(at->seq, r, arg, err);
}

static int
check_repo(const char *name, const struct rec_repo *r, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    (void)r;
    MUST(strlen(name) <= RECORD_REPOSITORY_MAX);
    return 0;
}

static int
check_upload(const char *id, const struct rec_upload *r, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    MUST(strlen(id) < 64 && strlen(r->user) < sizeof r->user);
    return 0;
}

static int
check_image(const struct digest *id, const struct rec_image *r, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    MUST(id->algo <= DIGEST_V1_ID && strlen(r->by) < sizeof r->by);
    return 0;
}

static int
check_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    MUST(j->digest.algo <= DIGEST_V1_ID && strlen(r->repository) < sizeof r->repository);
    return 0;
}

static int
check_hook(const struct tbl_hook *h, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    MUST(strlen(h->record.line) < sizeof h->record.line);
    return 0;
}

static int
check_event(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    (void)seq;
    MUST(strlen(r->actor) < sizeof r->actor);
    return 0;
}

/* ---- the visits ---- */

static void
visit_edges(struct txn *t)
{
    struct unpack u = unpack_of(entry_key);
    struct digest to;
    struct err err;
    unsigned kind;

    unpack_digest(&u, &to);
    kind = unpack_u8(&u);
    tbl_edge_each(t, &to, kind, 0, NULL, check_edge, NULL, &err);
    tbl_edge_kept(t, &to, &err);
    tbl_edge_each_target(t, EDGE_MEMBER, &to, check_target, NULL, &err);
    to = (struct digest){.algo = to.algo};
    tbl_edge_each_target(t, kind, &to, check_target, NULL, &err);
}

static void
visit_tags(struct txn *t)
{
    struct unpack u = unpack_of(entry_key);
    uint64_t repo = unpack_u64(&u);
    struct bytes rest = unpack_rest(&u);
    char *tag = fuzz_text(rest.p, strnlen(rest.p, rest.n));
    struct tag_log_place start = {.repo = 0};
    struct err err;

    tbl_tag_each(t, repo, "", check_tag, NULL, &err);
    if (rest.n <= RECORD_TAG_MAX)
        tbl_tag_log_each(t, repo, tag, check_move, NULL, &err);
    tbl_tag_log_scan(t, &start, check_any_move, NULL, &err);
    free(tag);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool is_quiet;
    struct kv kv = {.filling = &filling, .tables = tables, .n = TABLE_COUNT};
    struct txn *t = &kv.reads;
    struct tbl_hook first = {.seq = 0};
    uint32_t seq;
    struct err err;
    size_t key_n;

    if (n < 2)
        return 0;
    if (!is_quiet)
        log_limit_client_lines(1, UINT32_MAX); /* each bad entry makes a line */
    is_quiet = true;
    *t = (struct txn){.kv = &kv, .is_reads = true};
    key_n = data[1] < n - 2 ? data[1] : n - 2;
    entry_key = bytes_of(data + 2, key_n);
    entry_val = bytes_of(data + 2 + key_n, n - 2 - key_n);
    moves = 0;
    switch (data[0] % 8) {
    case 0:
        visit_edges(t);
        break;
    case 1:
        visit_tags(t);
        break;
    case 2:
        tbl_repo_each(t, "", check_repo, NULL, &err);
        break;
    case 3:
        tbl_upload_each(t, check_upload, NULL, &err);
        break;
    case 4:
        tbl_image_each(t, &(struct digest){.algo = DIGEST_NONE}, check_image, NULL, &err);
        break;
    case 5:
        tbl_job_each(t, key_n > 0 ? data[2] : 0, check_job, NULL, &err);
        break;
    case 6:
        tbl_hook_each(t, key_n > 0 ? data[2] : 0, NULL, check_hook, NULL, &err);
        tbl_hook_first_behind(t, NULL, &first, &err);
        break;
    default:
        tbl_event_each(t, 0, check_event, NULL, &err);
        tbl_event_last(t, &seq, &err);
        break;
    }
    MUST(kv.cursors == 0);
    return 0;
}
