#include "protocol/v1/v1_search.h"
#include "domain/core/catalog.h"
#include "util/parse.h"

#define N_DEFAULT 25
#define N_MAX 100

/* A number of the query, clamped to 1 … max. */
static uint64_t
search_number(const struct call *c, const char *name, uint64_t without, uint64_t max)
{
    const char *text = query_get(&c->query, name);
    const char *digits;
    uint64_t value;

    if (text == NULL)
        return without;
    digits = text + (text[0] == '-');
    if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits))
        return without;
    if (digits != text)
        return 1;
    if (!parse_u64(text, strlen(text), &value) || value > max)
        return max;
    return value == 0 ? 1 : value;
}

/* Clients decode the members strictly by type, and each version needs other members. */
static void
add_result(struct json *results, const char *name)
{
    struct json *one = json_new_object();

    json_set_string(one, "name", name);
    json_set_string(one, "description", "");
    json_set_u64(one, "star_count", 0);
    json_set_bool(one, "is_official", false);
    json_set_bool(one, "is_automated", false);
    json_set_bool(one, "is_trusted", false);
    json_add(results, one);
}

int
v1_search(struct call *c, struct err *err)
{
    const char *q = query_get(&c->query, "q");
    uint64_t n = search_number(c, "n", N_DEFAULT, N_MAX);
    uint64_t page = search_number(c, "page", 1, UINT64_MAX / N_MAX);
    struct actor user = c->actor;
    struct catalog_found found;
    struct json *body, *results;

    if (q == NULL)
        q = "";
    user.grants = NULL; /* a token for lists shows all that its user may pull */
    if (catalog_search(c->reg, &user, q, (page - 1) * n, (size_t)n, c->arena, &found, err) != 0)
        return -1;
    body = json_new_object();
    json_set_string(body, "query", q);
    json_set_u64(body, "num_results", found.total);
    json_set_u64(body, "num_pages", (found.total + n - 1) / n);
    json_set_u64(body, "page", page);
    json_set_u64(body, "page_size", n);
    results = json_new_array();
    for (size_t i = 0; i < found.n; i++)
        add_result(results, found.names[i]);
    json_set(body, "results", results);
    return call_json(c, 200, body, err);
}
