#include "protocol/inside/v2_find.h"
#include "domain/inside/image_search.h"
#include "protocol/http/http_auth.h"
#include "protocol/http/page.h"
#include "protocol/inside/browse_entry.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/parse.h"
#include "util/utf8.h"

/* Hits of a page unless n says otherwise. */
#define FIND_DEFAULT 100

struct finding_all {
    struct image_search search;
    struct layer_pattern pattern;
    struct image_label label;
    struct actor actor;
    struct http_sink *sink;
    struct buf line;
};

static void
put_text(struct buf *out, const char *before, const char *text)
{
    buf_puts(out, before);
    utf8_put_json(out, bytes_str(text));
}

static int
put_hit(void *arg, const struct image_search_hit *hit, struct err *err)
{
    struct finding_all *f = arg;
    char digest[DIGEST_TEXT_MAX];

    digest_text(digest, hit->image);
    buf_reset(&f->line);
    put_text(&f->line, "{\"repository\":", hit->repository);
    put_text(&f->line, ",\"tag\":", hit->tag);
    put_text(&f->line, ",\"digest\":", digest);
    put_text(&f->line, ",\"platform\":", hit->platform);
    if (hit->label != NULL)
        put_text(&f->line, ",\"label\":", hit->label);
    if (hit->entry != NULL) {
        buf_putc(&f->line, ',');
        browse_entry_put_facts(&f->line, hit->path, hit->entry, hit->layer);
    }
    buf_puts(&f->line, "}\n");
    if (!buf_ok(&f->line))
        return arena_full(err);
    return f->sink->put(f->sink, buf_bytes(&f->line), err);
}

/* The last line. The place is a text: time, number of hits, repository:tag. */
static int
put_last_line(struct finding_all *f, struct err *err)
{
    const struct image_search *s = &f->search;
    const struct search_place *p = &s->last;

    buf_reset(&f->line);
    buf_putf(&f->line, "{\"more\":%s,\"last\":", s->more ? "true" : "false");
    if (!s->more || p->repository[0] == '\0')
        buf_puts(&f->line, "null");
    else if (p->given == UINT64_MAX)
        buf_putf(&f->line, "\"%llu,all,%s:%s\"", (unsigned long long)p->updated, p->repository,
                 p->tag);
    else
        buf_putf(&f->line, "\"%llu,%llu,%s:%s\"", (unsigned long long)p->updated,
                 (unsigned long long)p->given, p->repository, p->tag);
    buf_putf(&f->line, ",\"images\":%llu,\"skipped\":%llu}\n", (unsigned long long)s->images,
             (unsigned long long)s->skipped);
    return f->sink->put(f->sink, buf_bytes(&f->line), err);
}

static int
produce_find(void *arg, struct http_sink *to, struct err *err)
{
    struct finding_all *f = arg;

    f->sink = to;
    f->search.until = clock_mono_ms() + LAYER_FIND_MS;
    return image_search_run(&f->search, err) != 0 ? -1 : put_last_line(f, err);
}

static void
end_find(void *arg)
{
    struct finding_all *f = arg;

    buf_free(&f->line);
}

static bool
take_place(struct search_place *p, const char *text)
{
    const char *given = strchr(text, ','), *name = given != NULL ? strchr(given + 1, ',') : NULL;
    const char *tag = name != NULL ? strchr(name, ':') : NULL;

    if (tag == NULL || (size_t)(tag - name) > sizeof p->repository || tag == name + 1 ||
        strlen(tag + 1) >= sizeof p->tag || !parse_u64(text, (size_t)(given - text), &p->updated))
        return false;
    p->given = UINT64_MAX;
    if (strncmp(given, ",all,", 5) != 0 &&
        !parse_u64(given + 1, (size_t)(name - given) - 1, &p->given))
        return false;
    snprintf(p->repository, sizeof p->repository, "%.*s", (int)(tag - name) - 1, name + 1);
    snprintf(p->tag, sizeof p->tag, "%s", tag + 1);
    return true;
}

/* Either of the two will do. */
static int
take_what_is_asked(struct call *c, struct finding_all *f, struct err *err)
{
    const char *name = query_get(&c->query, "name"), *label = query_get(&c->query, "label");

    if (label != NULL) {
        if (image_label_parse(&f->label, label, err) != 0)
            return -1;
        f->search.label = &f->label;
    }
    if (label != NULL && name == NULL)
        return 0;
    f->search.text = bytes_str(name != NULL ? name : "");
    f->search.pattern = &f->pattern;
    return layer_find_pattern(&f->pattern, f->search.text, err);
}

int
v2_find(struct call *c, struct err *err)
{
    struct finding_all *f = arena_alloc(c->arena, sizeof *f);
    const char *last = query_get(&c->query, "last");

    if (f == NULL)
        return arena_full(err);
    *f = (struct finding_all){.search = {.reg = c->reg, .fn = put_hit, .limit = FIND_DEFAULT}};
    if (http_auth_lister(c, &f->actor, err) != 0 || take_what_is_asked(c, f, err) != 0 ||
        (query_get(&c->query, "n") != NULL && page_limit(c, &f->search.limit, err) != 0))
        return -1;
    if (last != NULL && *last != '\0' && !take_place(&f->search.after, last))
        return err_set(err, ERR_BAD_REQUEST, "last isn't from an answer of this request");
    f->search.actor = &f->actor;
    f->search.arg = f;
    buf_init(&f->line, BROWSE_ENTRY_MAX);
    http_reply_header(c->reply, "Cache-Control", "no-cache");
    return call_stream(c, 200, "application/x-ndjson",
                       &(const struct http_stream){produce_find, end_find, f});
}
