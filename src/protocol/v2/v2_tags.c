#include "protocol/v2/v2_tags.h"
#include "domain/core/tag.h"
#include "domain/core/tag_history.h"
#include "domain/name.h"
#include "protocol/http/page.h"
#include "util/clock.h"
#include "util/parse.h"

int
v2_tags_list(struct call *c, struct err *err)
{
    const char *after = query_get(&c->query, "last"), *path;
    struct json *body, *tags;
    struct tag_page page;
    size_t limit;

    if (page_limit(c, &limit, err) != 0 ||
        tag_list(c->reg, c->name, after != NULL ? after : "", limit, c->arena, &page, err) != 0)
        return -1;
    if (page.more && page.n > 0 &&
        (call_text(c, &path, err, "/v2/%s/tags/list", c->name) != 0 ||
         page_link(c, path, limit, page.names[page.n - 1], err) != 0))
        return -1;
    body = json_new_object();
    tags = json_new_array();
    for (size_t i = 0; i < page.n; i++)
        json_add_string(tags, page.names[i]);
    json_set_string(body, "name", c->name);
    json_set(body, "tags", tags);
    return call_json(c, 200, body, err);
}

/* ---- the history of one tag ---- */

/* The number behind which the page begins; UINT64_MAX: it is the first page. */
static int
parse_last_number(const struct call *c, uint64_t *last, struct err *err)
{
    const char *text = query_get(&c->query, "last");

    *last = UINT64_MAX;
    if (text == NULL || *text == '\0' || parse_u64(text, strlen(text), last))
        return 0;
    return err_set(err, ERR_BAD_REQUEST, "last must be the number of an entry");
}

static void
set_target(struct json *j, const char *name, const struct digest *d)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    if (d->algo == DIGEST_NONE)
        json_set(j, name, NULL);
    else
        json_set_string(j, name, text);
}

static struct json *
entry_of_move(const struct tag_history_move *m)
{
    struct json *j = json_new_object();
    char when[CLOCK_RFC3339_MAX];

    clock_rfc3339(when, m->r.time);
    json_set_u64(j, "number", m->number);
    json_set_string(j, "when", when);
    set_target(j, "from", &m->r.before);
    set_target(j, "to", &m->r.after);
    json_set_string(j, "by", m->r.by);
    return j;
}

int
v2_tags_history(struct call *c, struct err *err)
{
    struct tag_history *h = arena_alloc(c->arena, sizeof *h);
    struct json *body, *entries;
    const char *path, *number;
    uint64_t last;
    size_t limit, i = 0, end;

    if (h == NULL)
        return arena_full(err);
    if (!name_is_tag(c->last))
        return err_set(err, ERR_BAD_TAG, "%s is not a valid tag", c->last);
    if (page_limit(c, &limit, err) != 0 || parse_last_number(c, &last, err) != 0 ||
        tag_history_read(c->reg, c->name, c->last, h, err) != 0)
        return -1;
    while (i < h->n && h->v[i].number >= last)
        i++;
    end = h->n - i < limit ? h->n : i + limit;
    if (end < h->n && end > i &&
        (call_text(c, &path, err, "/v2/%s/_tags/%s/history", c->name, c->last) != 0 ||
         call_text(c, &number, err, "%llu", (unsigned long long)h->v[end - 1].number) != 0 ||
         page_link(c, path, limit, number, err) != 0))
        return -1;
    entries = json_new_array();
    for (; i < end; i++)
        json_add(entries, entry_of_move(&h->v[i]));
    body = json_new_object();
    json_set_string(body, "name", c->name);
    json_set_string(body, "tag", c->last);
    json_set(body, "history", entries);
    return call_json(c, 200, body, err);
}
