#include "process/commands/command_explain.h"
#include <inttypes.h>
#include "domain/core/explain.h"
#include "domain/core/repository.h"
#include "domain/name.h"
#include "process/commands/progress.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/mem.h"

#define USAGE                                                                                      \
    "usage: docker-registry-server explain DIGEST, NAME:TAG or NAME@DIGEST [--json], with --dir, " \
    "--config and --run-as as for the server"

/* ---- what is asked about ---- */

struct question {
    char repository[RECORD_REPOSITORY_MAX + 1]; /* "": none is named */
    char tag[RECORD_TAG_MAX + 1];
    struct digest digest;
};

static int
parse_digest_or_id(struct digest *d, const char *text, struct err *err)
{
    if (strchr(text, ':') != NULL)
        return digest_parse(d, text, strlen(text), err);
    return digest_parse_v1_id(d, text, strlen(text), err);
}

/* The last colon or at sign behind a repository's name; a digest begins with its algorithm. */
static int
parse_question(struct question *q, const char *text, struct err *err)
{
    size_t n = strcspn(text, "@:");
    const char *rest = text + n;
    char name[RECORD_REPOSITORY_MAX + 1] = "";
    bool is_digest = (*rest == ':' && digest_algo_named(bytes_of(text, n)) != DIGEST_NONE) ||
                     (*rest == '\0' && n == 64);

    *q = (struct question){.digest = {.algo = DIGEST_NONE}};
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

static int
find_target(const struct registry *reg, struct question *q, struct err *err)
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

/* ---- facts as text ---- */

static const char *
describe(const struct explain *x)
{
    if (x->digest.algo == DIGEST_V1_ID)
        return x->is_image ? "image of the first API" : "id of an image";
    if (x->manifests_n > 0)
        return x->manifests[0].record.media_type;
    if (x->counts[EDGE_TRASHED] > 0)
        return "deleted manifest";
    if (x->is_config)
        return "config";
    if (x->counts[EDGE_PART] + x->counts[EDGE_IMAGE] > 0)
        return "layer";
    return x->counts[EDGE_CHILD] > 0 ? "part of an index" : "blob";
}

static uint64_t
explained_size(const struct explain *x)
{
    return x->is_blob ? x->blob.size : x->manifests_n > 0 ? x->manifests[0].record.size : 0;
}

/* What an edge of each kind means, for people and in JSON; NULL: it isn't told. */
static const struct {
    const char *name, *text;
} meanings[EXPLAIN_KINDS] = {
    [EDGE_HELD] = {"repository", "is a manifest of"},
    [EDGE_TAG] = {"tag", "named by tag"},
    [EDGE_CHILD] = {"index", "part of index"},
    [EDGE_PART] = {"manifest", "needed by manifest"},
    [EDGE_IMAGE] = {"image", "needed by image"},
    [EDGE_MADE] = {"made", "was made into manifest"},
    [EDGE_HISTORY] = {"history", "named by the history of"},
    [EDGE_TRASHED] = {"deleted", "can be brought back in"},
    [EDGE_TRASH_PART] = {"deleted-manifest", "needed by deleted manifest"},
    [EDGE_MEMBER] = {"member", "may be pulled from"},
    [EDGE_SUBJECT] = {"referrer", "subject of"},
};

static void
write_source(struct buf *out, const struct explain_edge *e)
{
    char digest[DIGEST_TEXT_MAX];

    buf_puts(out, e->repository);
    if (e->edge.tag != NULL) {
        buf_putc(out, ':');
        buf_puts(out, e->tag);
    } else if (e->edge.from.algo != DIGEST_NONE) {
        digest_text(digest, &e->edge.from);
        if (e->repository[0] != '\0')
            buf_putc(out, '@');
        buf_puts(out, digest);
    }
}

static void
print_edge_lines(const struct explain *x, size_t kind)
{
    char until[CLOCK_RFC3339_MAX];
    struct buf source;

    if (meanings[kind].text == NULL)
        return;
    for (size_t i = 0; i < x->edges_n[kind]; i++) {
        const struct explain_edge *e = &x->edges[kind][i];

        buf_init(&source, 1024);
        write_source(&source, e);
        printf("  %s %s", meanings[kind].text, buf_text(&source));
        clock_rfc3339(until, e->until);
        printf(e->until != 0 ? " until %s\n" : "\n", until);
        buf_free(&source);
    }
    if (x->counts[kind] > x->edges_n[kind])
        printf("  ... and %" PRIu64 " more of these\n", x->counts[kind] - x->edges_n[kind]);
}

/* ---- the verdict ---- */

/* About a manifest, in one of its repositories. */
static char *
reach_text(const struct registry *reg, const struct explain_manifest *m)
{
    const struct rec_manifest *r = &m->record;
    uint64_t since = r->untagged > r->pushed ? r->untagged : r->pushed;
    char digest[DIGEST_TEXT_MAX], time[CLOCK_RFC3339_MAX], end[CLOCK_RFC3339_MAX];

    digest_text(digest, &m->reach.by);
    clock_rfc3339(time, m->reach.kind == REACH_HISTORY ? m->reach.until : since);
    clock_rfc3339(end, since + reg->gc_untagged_ms);
    switch (m->reach.kind) {
    case REACH_TAG:
        return mem_printf("stays as long as tag %s names it", m->reach.tag);
    case REACH_TAG_NAME:
        return mem_printf("stays as long as there is tag %s, which names it in its name",
                          m->reach.tag);
    case REACH_INDEX:
        return mem_printf("stays as long as index %s", digest);
    case REACH_SUBJECT:
        return mem_printf("stays as long as its subject %s", digest);
    case REACH_HISTORY:
        return mem_printf("no tag names it; the history of tag %s keeps it until %s", m->reach.tag,
                          time);
    case REACH_NONE:
        break;
    }
    if (reg->gc_untagged_ms == 0)
        return mem_printf("nothing reaches it since %s; it stays until it is deleted, or "
                          "\"gc --untagged\" takes it",
                          time);
    return mem_printf("nothing reaches it since %s; it goes after %s (--gc-untagged)", time, end);
}

/* About a blob, or an image of the first API. */
static char *
verdict_text(const struct explain *x)
{
    uint64_t until = x->is_image ? x->image.leased_until : x->blob.leased_until;
    char time[CLOCK_RFC3339_MAX];

    clock_rfc3339(time, until);
    if (explain_is_kept(x))
        return mem_printf("stays as long as any of these needs it");
    if (until > clock_wall_ms())
        return mem_printf("nothing needs it; its lease keeps it until %s", time);
    return mem_printf("nothing needs it, and its lease ended at %s: it may go at any moment", time);
}

static void
print_verdicts(const struct registry *reg, const struct explain *x)
{
    char *text;

    for (size_t i = 0; i < x->manifests_n; i++) {
        text = reach_text(reg, &x->manifests[i]);
        printf("in %s: %s\n", x->manifests[i].repository, text);
        free(text);
    }
    if (!x->is_blob && !x->is_image)
        return;
    text = verdict_text(x);
    puts(text);
    free(text);
}

static void
print_explanation(const struct registry *reg, const struct explain *x)
{
    char digest[DIGEST_TEXT_MAX], size[PROGRESS_EXACT_MAX];

    digest_text(digest, &x->digest);
    progress_exact_size(size, explained_size(x));
    printf("%s: %s, %s\n", digest, describe(x), size);
    for (size_t kind = 0; kind < EXPLAIN_KINDS; kind++)
        print_edge_lines(x, kind);
    print_verdicts(reg, x);
}

/* ---- facts as JSON ---- */

static void
set_time_member(struct json *j, const char *name, uint64_t ms)
{
    char time[CLOCK_RFC3339_MAX];

    if (ms == 0)
        return;
    clock_rfc3339(time, ms);
    json_set_string(j, name, time);
}

static struct json *
edge_as_json(const struct explain_edge *e)
{
    struct json *j = json_new_object();
    char digest[DIGEST_TEXT_MAX];

    json_set_string(j, "what", meanings[e->edge.kind].name);
    if (e->repository[0] != '\0')
        json_set_string(j, "repository", e->repository);
    if (e->edge.tag != NULL)
        json_set_string(j, "tag", e->tag);
    digest_text(digest, &e->edge.from);
    if (e->edge.from.algo != DIGEST_NONE)
        json_set_string(j, "digest", digest);
    set_time_member(j, "until", e->until);
    return j;
}

static struct json *
edges_as_json(const struct explain *x, size_t from, size_t to, struct json *counts)
{
    struct json *list = json_new_array();

    for (size_t kind = from; kind < to; kind++) {
        if (meanings[kind].name == NULL || x->counts[kind] == 0)
            continue;
        json_set_u64(counts, meanings[kind].name, x->counts[kind]);
        for (size_t i = 0; i < x->edges_n[kind]; i++)
            json_add(list, edge_as_json(&x->edges[kind][i]));
    }
    return list;
}

static struct json *
manifest_as_json(const struct registry *reg, const struct explain_manifest *m)
{
    struct json *j = json_new_object();
    char *text = reach_text(reg, m);

    json_set_string(j, "repository", m->repository);
    set_time_member(j, "pushed", m->record.pushed);
    set_time_member(j, "untagged", m->record.untagged);
    json_set_bool(j, "reached", m->reach.kind != REACH_NONE);
    set_time_member(j, "history_until", m->reach.until);
    json_set_string(j, "verdict", text);
    free(text);
    return j;
}

static void
print_explanation_json(const struct registry *reg, const struct explain *x)
{
    struct json *j = json_new_object(), *counts = json_new_object(), *list = json_new_array();
    char digest[DIGEST_TEXT_MAX], *text = verdict_text(x);

    digest_text(digest, &x->digest);
    json_set_string(j, "digest", digest);
    json_set_string(j, "is", describe(x));
    json_set_u64(j, "size", explained_size(x));
    json_set(j, "kept_by", edges_as_json(x, 0, EDGE_KEEPS_END, counts));
    json_set(j, "known_to", edges_as_json(x, EDGE_KEEPS_END, EXPLAIN_KINDS, counts));
    json_set(j, "counts", counts);
    for (size_t i = 0; i < x->manifests_n; i++)
        json_add(list, manifest_as_json(reg, &x->manifests[i]));
    json_set(j, "manifests", list);
    set_time_member(j, "leased_until", x->is_image ? x->image.leased_until : x->blob.leased_until);
    if (x->is_blob || x->is_image)
        json_set_string(j, "verdict", text);
    free(text);
    command_print("", j, "\n");
}

/* ---- the work ---- */

static int
explain_question(struct control *c, struct explain *x, struct err *err)
{
    struct question q;
    char digest[DIGEST_TEXT_MAX];
    int rc;

    if (parse_question(&q, c->args[1], err) != 0 || find_target(c->reg, &q, err) != 0)
        return -1;
    rc = explain_digest(c->reg, &q.digest, x, err);
    digest_text(digest, &q.digest);
    if (rc == 0)
        return err_set(err, ERR_NO_BLOB, "%s isn't here", digest);
    return rc < 0 ? -1 : 0;
}

enum command_exit
command_explain_work(struct control *c, struct err *err)
{
    struct explain *x;
    int rc;

    if (c->args_n != 3) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    x = mem_alloc(sizeof *x);
    rc = explain_question(c, x, err);
    if (rc == 0 && strcmp(c->args[2], "json") == 0)
        print_explanation_json(c->reg, x);
    else if (rc == 0)
        print_explanation(c->reg, x);
    free(x);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the answer");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

enum command_exit
command_explain(struct options *o, struct err *err)
{
    const char *args[] = {"explain", o->words.n == 1 ? o->words.v[0] : "",
                          o->json ? "json" : "text", NULL};
    struct question q;

    options_forget_users(o); /* of a configuration file */
    if (o->words.n != 1) {
        err_set(err, ERR_BAD_REQUEST, USAGE);
        return COMMAND_USAGE;
    }
    if (parse_question(&q, args[1], err) != 0)
        return COMMAND_USAGE;
    return control_run(o, command_explain_work, args, err);
}
