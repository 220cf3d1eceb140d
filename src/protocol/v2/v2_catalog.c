#include "protocol/v2/v2_catalog.h"
#include "domain/access/sealed_name.h"
#include "domain/core/catalog.h"
#include "domain/core/repository_sizes.h"
#include "protocol/http/http_auth.h"
#include "protocol/http/page.h"
#include "util/clock.h"

/* The page begins behind `last`, or behind the name that only the server can read. */
#define HIDDEN_PARAMETER "behind"

static int
find_start(struct call *c, char hidden[RECORD_REPOSITORY_MAX + 1], const char **after,
           struct err *err)
{
    const char *sealed = query_get(&c->query, HIDDEN_PARAMETER);

    *after = query_get(&c->query, "last");
    if (*after == NULL)
        *after = "";
    if (sealed == NULL)
        return 0;
    if (!sealed_name_open(c->reg, sealed, hidden))
        return err_set(err, ERR_BAD_REQUEST,
                       HIDDEN_PARAMETER " isn't from a Link of this registry: begin without it");
    *after = hidden;
    return 0;
}

/* With the same parameters. */
static int
add_link(struct call *c, const char *path, const struct catalog_page *page, size_t limit,
         struct err *err)
{
    static const char *const same[] = {"name", "prefix"};
    const char *last = page->n > 0 ? page->names[page->n - 1] : "";
    char sealed[SEALED_NAME_TEXT];
    struct buf more;
    int rc = 0;

    buf_init(&more, 65536);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        page_put_parameter(c, &more, same[i]);
    if (page->hidden != NULL && !sealed_name_make(c->reg, page->hidden, sealed))
        rc = err_set(err, ERR_SYSTEM, "the name of the next page can't be encrypted");
    else if (page->hidden != NULL)
        buf_putf(&more, "&" HIDDEN_PARAMETER "=%s", sealed);
    if (rc == 0)
        rc = buf_ok(&more) ? page_link_more(c, path, limit, bytes_str(last), buf_text(&more), err)
                           : arena_full(err);
    buf_free(&more);
    return rc;
}

static int
make_catalog_page(struct call *c, const char *path, const struct catalog_filter *filter,
                  struct catalog_page *page, struct err *err)
{
    char hidden[RECORD_REPOSITORY_MAX + 1];
    struct actor user;
    const char *after;
    size_t limit;

    if (http_auth_lister(c, &user, err) != 0 || page_limit(c, &limit, err) != 0 ||
        find_start(c, hidden, &after, err) != 0 ||
        catalog_list(c->reg, &user, filter, after, limit, c->arena, page, err) != 0)
        return -1;
    return page->more && limit > 0 ? add_link(c, path, page, limit, err) : 0;
}

/* ---- with facts ---- */

static int
add_repository(const struct call *c, struct json *list, const char *name,
               const struct catalog_facts *facts, struct err *err)
{
    char updated[CLOCK_RFC3339_MAX];
    uint64_t tags, size;
    struct json *j;

    if (catalog_count_tags(c->reg, facts->id, &tags, err) != 0)
        return -1;
    clock_rfc3339(updated, facts->updated);
    j = json_new_object();
    json_set_string(j, "name", name);
    json_set_u64(j, "tags", tags);
    if (repository_sizes_find(c->reg->sizes, facts->id, &size))
        json_set_u64(j, "size", size);
    else
        json_set(j, "size", NULL);
    json_set_string(j, "updated", updated);
    json_add(list, j);
    return 0;
}

int
v2_catalog_repositories(struct call *c, struct err *err)
{
    const struct catalog_filter filter = {.prefix = query_get(&c->query, "prefix"),
                                          .text = query_get(&c->query, "name")};
    struct catalog_page page;
    struct json *body, *list;

    if (make_catalog_page(c, "/v2/_repositories", &filter, &page, err) != 0)
        return -1;
    body = json_new_object();
    list = json_new_array();
    json_set(body, "repositories", list);
    for (size_t i = 0; i < page.n; i++)
        if (add_repository(c, list, page.names[i], &page.facts[i], err) != 0) {
            json_free(body);
            return -1;
        }
    return call_json(c, 200, body, err);
}

/* ---- names alone ---- */

int
v2_catalog_list(struct call *c, struct err *err)
{
    const struct catalog_filter all = {.prefix = NULL};
    struct catalog_page page;
    struct json *body, *names;

    if (make_catalog_page(c, "/v2/_catalog", &all, &page, err) != 0)
        return -1;
    body = json_new_object();
    names = json_new_array();
    for (size_t i = 0; i < page.n; i++)
        json_add_string(names, page.names[i]);
    json_set(body, "repositories", names);
    return call_json(c, 200, body, err);
}
