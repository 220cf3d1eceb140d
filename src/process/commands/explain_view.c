#include "process/commands/explain_view.h"
#include <inttypes.h>
#include <stdlib.h>
#include "domain/access/immutable.h"
#include "util/clock.h"
#include "util/mem.h"

/* ---- as text ---- */

/* The meaning of each kind of edge, for people and in JSON; NULL: it isn't told. */
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

/* Of a tag that names the digest; NULL: the tag can be moved. */
static const char *
immutable_pattern(const struct registry *reg, const struct explain_edge *e)
{
    return e->edge.kind == EDGE_TAG ? immutable_find(reg, e->repository, e->edge.tag) : NULL;
}

static void
print_edge_lines(const struct registry *reg, const struct explain *x, size_t kind)
{
    const char *pattern;
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
        if (e->until != 0)
            printf(" until %s", until);
        pattern = immutable_pattern(reg, e);
        printf(pattern != NULL ? ", which is immutable (--immutable %s)\n" : "\n", pattern);
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

void
explain_view_print(const struct registry *reg, const struct explain *x)
{
    for (size_t kind = 0; kind < EXPLAIN_KINDS; kind++)
        print_edge_lines(reg, x, kind);
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
edge_as_json(const struct registry *reg, const struct explain_edge *e)
{
    const char *pattern = immutable_pattern(reg, e);
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
    if (pattern != NULL)
        json_set_string(j, "immutable", pattern);
    set_time_member(j, "until", e->until);
    return j;
}

static struct json *
edges_as_json(const struct registry *reg, const struct explain *x, size_t from, size_t to,
              struct json *counts)
{
    struct json *list = json_new_array();

    for (size_t kind = from; kind < to; kind++) {
        if (meanings[kind].name == NULL || x->counts[kind] == 0)
            continue;
        json_set_u64(counts, meanings[kind].name, x->counts[kind]);
        for (size_t i = 0; i < x->edges_n[kind]; i++)
            json_add(list, edge_as_json(reg, &x->edges[kind][i]));
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

void
explain_view_set(struct json *j, const struct registry *reg, const struct explain *x)
{
    struct json *counts = json_new_object(), *list = json_new_array();
    char *text = verdict_text(x);

    json_set(j, "kept_by", edges_as_json(reg, x, 0, EDGE_KEEPS_END, counts));
    json_set(j, "known_to", edges_as_json(reg, x, EDGE_KEEPS_END, EXPLAIN_KINDS, counts));
    json_set(j, "counts", counts);
    for (size_t i = 0; i < x->manifests_n; i++)
        json_add(list, manifest_as_json(reg, &x->manifests[i]));
    json_set(j, "manifests", list);
    set_time_member(j, "leased_until", x->is_image ? x->image.leased_until : x->blob.leased_until);
    if (x->is_blob || x->is_image)
        json_set_string(j, "verdict", text);
    free(text);
}
