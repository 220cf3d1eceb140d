#include "protocol/v2/v2_tag_page.h"
#include "domain/core/image_facts.h"
#include "domain/core/repository.h"
#include "domain/core/tag.h"
#include "domain/core/tag_sorted.h"
#include "domain/retention/last_pull.h"
#include "protocol/http/page.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/parse.h"
#include "util/utf8.h"

/* Tags of a page, unless n says otherwise: each costs some look-ups. */
#define TAGS_DEFAULT 100

struct tag_telling {
    struct call *c;
    uint64_t repo;
    struct image_facts_bound left;
    struct image_facts facts;
    struct tag_siblings siblings;
};

/* ---- one tag ---- */

static void
set_moment(struct json *j, const char *name, uint64_t ms)
{
    char text[CLOCK_RFC3339_MAX];

    clock_rfc3339(text, ms);
    if (ms == 0)
        json_set(j, name, NULL);
    else
        json_set_string(j, name, text);
}

static void
set_known_size(struct json *j, bool known, uint64_t size)
{
    if (known)
        json_set_u64(j, "size", size);
    else
        json_set(j, "size", NULL);
}

static struct json *
list_platforms(const struct image_facts *facts)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < facts->platforms_n; i++) {
        const struct image_facts_platform *p = &facts->platforms[i];
        char text[PLATFORM_TEXT_MAX], digest[DIGEST_TEXT_MAX];
        struct json *j = json_new_object();

        platform_text(text, &p->platform);
        digest_text(digest, &p->digest);
        json_set_string(j, "platform", text);
        json_set_string(j, "digest", digest);
        set_known_size(j, p->here, p->size);
        json_add(list, j);
    }
    return list;
}

/* Of a tag whose manifest is gone meanwhile, or isn't made yet, these are null. An
 * image is no artifact, although its record has the type of its config. */
static void
set_manifest(struct json *j, const struct digest *d, const struct image_facts *facts)
{
    const struct rec_manifest *r = &facts->record;
    bool is_image = facts->has_record && !digest_equal(&r->id, d);

    if (!facts->has_record) {
        json_set(j, "media_type", NULL);
        json_set(j, "artifact_type", NULL);
        set_moment(j, "pushed", 0);
    } else {
        json_set_string(j, "media_type", r->media_type);
        json_set_string(j, "artifact_type", is_image ? "" : r->artifact_type);
        set_moment(j, "pushed", r->pushed);
    }
    set_known_size(j, facts->known, facts->size);
    if (facts->known)
        json_set(j, "platforms", list_platforms(facts));
    else
        json_set(j, "platforms", NULL);
}

static void
set_siblings(struct json *j, const struct tag_siblings *siblings)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < siblings->n; i++)
        json_add_string(list, siblings->v[i]);
    json_set(j, "siblings", list);
    json_set_bool(j, "more_siblings", siblings->more);
}

static void
set_tag_target(struct json *j, const struct digest *target)
{
    char text[DIGEST_TEXT_MAX];

    if (target->algo == DIGEST_V1_ID) {
        digest_hex(text, target);
        json_set(j, "digest", NULL);
        json_set_string(j, "id", text);
    } else {
        digest_text(text, target);
        json_set_string(j, "digest", text);
    }
}

static int
add_tag_row(struct tag_telling *t, struct json *list, struct tag_row *row, struct err *err)
{
    const struct registry *reg = t->c->reg;
    const struct digest *target = &row->r.target;
    uint64_t pulled;
    struct json *j;
    int was_pulled;

    t->facts.known = t->facts.has_record = false;
    if (target->algo != DIGEST_V1_ID &&
        image_facts_read(reg, t->repo, target, &t->left, &t->facts, err) != 0)
        return -1;
    was_pulled = last_pull_read(reg, t->repo, row->name, target, &pulled, err);
    if (was_pulled < 0 ||
        tag_find_siblings(reg, t->repo, row->name, target, &t->siblings, err) != 0)
        return -1;
    j = json_new_object();
    json_set_string(j, "name", row->name);
    set_tag_target(j, target);
    set_manifest(j, target, &t->facts);
    utf8_mend(row->r.by);
    set_moment(j, "updated", row->r.updated);
    json_set_string(j, "by", row->r.by);
    set_moment(j, "pulled", was_pulled == 1 ? pulled : 0);
    set_siblings(j, &t->siblings);
    json_add(list, j);
    return 0;
}

/* ---- the page ---- */

static int
parse_order(const struct call *c, enum tag_order *order, struct err *err)
{
    static const char *const names[] = {
        [TAG_ORDER_NAME] = "name", [TAG_ORDER_NATURAL] = "natural", [TAG_ORDER_TIME] = "time"};
    const char *text = query_get(&c->query, "order");

    *order = TAG_ORDER_NATURAL;
    if (text == NULL)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            *order = (enum tag_order)i;
            return 0;
        }
    err_set(err, ERR_BAD_REQUEST, "there is no such order");
    err_expected(err, "order=natural, order=time or order=name");
    return err_found(err, "order=%s", text);
}

/* The place of TAG_ORDER_TIME is its time and its name: 1795000000000,v1. */
static int
parse_place(const struct call *c, struct tag_wanted *w, struct err *err)
{
    const char *text = query_get(&c->query, "last");
    size_t digits;

    if (text == NULL || *text == '\0')
        return 0;
    if (w->order == TAG_ORDER_TIME) {
        digits = strcspn(text, ",");
        if (text[digits] != ',' || !parse_u64(text, digits, &w->after.updated))
            return err_set(err, ERR_BAD_REQUEST, "last isn't from a Link of this list");
        text += digits + 1;
    }
    /* A longer text than any tag: what it begins with has the same place. */
    snprintf(w->after.name, sizeof w->after.name, "%s", text);
    return 0;
}

static int
add_tags_link(struct call *c, const struct tag_wanted *w, const struct tag_rows *page,
              struct err *err)
{
    const char *path, *last = page->last.name;
    struct buf same;
    int rc = 0;

    buf_init(&same, 65536);
    page_put_parameter(c, &same, "order");
    page_put_parameter(c, &same, "name");
    if (w->order == TAG_ORDER_TIME)
        rc = call_text(c, &last, err, "%llu,%s", (unsigned long long)page->last.updated,
                       page->last.name);
    if (rc == 0)
        rc = call_text(c, &path, err, "/v2/%s/_tags", c->name);
    if (rc == 0)
        rc = buf_ok(&same)
                 ? page_link_more(c, path, w->limit, bytes_str(last), buf_text(&same), err)
                 : arena_full(err);
    buf_free(&same);
    return rc;
}

static int
add_tag_rows(struct tag_telling *t, const struct tag_rows *page, struct json *list, struct err *err)
{
    for (size_t i = 0; i < page->n; i++)
        if (add_tag_row(t, list, &page->v[i], err) != 0)
            return -1;
    return 0;
}

int
v2_tag_page(struct call *c, struct err *err)
{
    struct tag_telling *t = arena_alloc(c->arena, sizeof *t);
    struct tag_wanted wanted = {.text = query_get(&c->query, "name")};
    struct tag_rows page;
    struct rec_repo repo;
    struct json *body, *list;

    if (t == NULL)
        return arena_full(err);
    if (page_limit(c, &wanted.limit, err) != 0 || parse_order(c, &wanted.order, err) != 0 ||
        parse_place(c, &wanted, err) != 0 || repository_need(c->reg, c->name, &repo, err) != 0)
        return -1;
    if (query_get(&c->query, "n") == NULL)
        wanted.limit = TAGS_DEFAULT;
    if (tag_sorted_page(c->reg, repo.id, &wanted, c->arena, &page, err) != 0 ||
        (page.more && wanted.limit > 0 && add_tags_link(c, &wanted, &page, err) != 0))
        return -1;
    t->c = c;
    t->repo = repo.id;
    t->left = image_facts_page;
    body = json_new_object();
    list = json_new_array();
    json_set_string(body, "name", c->name);
    json_set(body, "tags", list);
    if (add_tag_rows(t, &page, list, err) != 0) {
        json_free(body);
        return -1;
    }
    return call_json(c, 200, body, err);
}
