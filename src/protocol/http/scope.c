#include "protocol/http/scope.h"
#include "domain/access/bearer_grants.h"
#include "domain/name.h"

static const struct {
    const char *name;
    unsigned action;
} scope_actions[] = {
    {"pull", BEARER_PULL},
    {"push", BEARER_PUSH},
    {"delete", BEARER_DELETE},
    {"*", BEARER_ALL},
};

#define SCOPE_ACTIONS (sizeof scope_actions / sizeof *scope_actions)

/* The bytes of b before the first, or the last, such byte; *rest: those behind it. False: there is
 * none. */
static bool
split_at(struct bytes b, char c, bool last, struct bytes *first, struct bytes *rest)
{
    const char *at = last ? memrchr(b.p, c, b.n) : memchr(b.p, c, b.n);
    size_t n;

    if (at == NULL)
        return false;
    n = (size_t)(at - (const char *)b.p);
    *first = bytes_of(b.p, n);
    *rest = bytes_after(b, n + 1);
    return true;
}

/* "repository", also with a class. */
static bool
is_repository_type(struct bytes type)
{
    struct bytes class;

    return bytes_equal(type, bytes_str("repository")) ||
           (split_at(type, '(', false, &type, &class) &&
            bytes_equal(type, bytes_str("repository")) && class.n > 1 &&
            memchr(class.p, ')', class.n) == (const char *)class.p + class.n - 1);
}

static bool
is_name(struct bytes b)
{
    char name[RECORD_REPOSITORY_MAX + 1];

    if (b.n >= sizeof name || memchr(b.p, '\0', b.n) != NULL)
        return false;
    memcpy(name, b.p, b.n);
    name[b.n] = '\0';
    return name_is_repository(name);
}

static unsigned
parse_actions(struct bytes list)
{
    unsigned actions = 0;
    struct bytes one;
    bool more;

    do {
        more = split_at(list, ',', false, &one, &list);
        if (!more)
            one = list;
        for (size_t i = 0; i < SCOPE_ACTIONS; i++)
            if (bytes_equal(one, bytes_str(scope_actions[i].name)))
                actions |= scope_actions[i].action;
    } while (more);
    return actions;
}

bool
scope_parse(struct scope *s, struct bytes text)
{
    struct bytes type, name, actions;

    *s = (struct scope){.lists = bytes_equal(text, bytes_str("registry:catalog:*")) ||
                                 bytes_equal(text, bytes_str("registry:catalog:search"))};
    if (s->lists)
        return true;
    if (!split_at(text, ':', false, &type, &name) || !split_at(name, ':', true, &name, &actions) ||
        !is_repository_type(type) || !is_name(name))
        return false;
    s->repository = name;
    s->actions = parse_actions(actions);
    return true;
}

void
scope_put(struct buf *out, struct bytes repository, unsigned actions)
{
    const char *comma = "";

    buf_putf(out, "%srepository:%.*s:", out->n > 0 ? " " : "", (int)repository.n,
             (const char *)repository.p);
    for (size_t i = 0; i < SCOPE_ACTIONS; i++) {
        if ((actions & scope_actions[i].action) != 0) {
            buf_putf(out, "%s%s", comma, scope_actions[i].name);
            comma = ",";
        }
    }
}

void
scope_put_lists(struct buf *out)
{
    buf_putf(out, "%sregistry:catalog:*", out->n > 0 ? " " : "");
}
