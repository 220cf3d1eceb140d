#include "domain/access/access_groups.h"
#include "domain/access/access_text.h"
#include "util/mem.h"

bool
access_groups_is_name(struct bytes name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *p = name.p;

    for (size_t i = 0; i < name.n; i++)
        if (memchr(allowed, p[i], sizeof allowed - 1) == NULL)
            return false;
    return name.n > 0;
}

static int
check_group_member(const struct access_text *t, struct bytes word, struct err *err)
{
    if (*(const char *)word.p == '@')
        return access_text_refuse(t, err,
                                  ACCESS_WORD ": a group has users, and can't have other groups",
                                  ACCESS_WORD_ARGS(word));
    if (bytes_equal(word, bytes_str(ACCESS_ANONYMOUS)))
        return access_text_refuse(t, err,
                                  ACCESS_WORD " can't be in a group: clients without a user have "
                                              "lines of their own in the rules",
                                  ACCESS_WORD_ARGS(word));
    return access_text_check_user(t, word, err);
}

static int
parse_group_line(struct access_groups *g, const struct access_text *t, struct bytes line,
                 struct err *err)
{
    const char *colon = memchr(line.p, ':', line.n);
    struct bytes head =
        bytes_of(line.p, colon != NULL ? (size_t)(colon - (const char *)line.p) : 0);
    struct bytes name, word;

    if (colon == NULL)
        return access_text_refuse(t, err, "no colon: a line is GROUP: USER USER ...");
    line = bytes_after(line, head.n + 1);
    if (!access_text_word(&head, &name) || access_text_word(&head, &word) ||
        !access_groups_is_name(name))
        return access_text_refuse(
            t, err,
            ACCESS_WORD " can't be the name of a group: it has a-z, A-Z, "
                        "0-9, ., _ and -",
            (int)(colon - (const char *)name.p < 80 ? colon - (const char *)name.p : 80),
            (const char *)name.p);
    g->names = mem_grow(g->names, &g->names_room, g->names_n + 1, sizeof *g->names);
    g->names[g->names_n++] = name;
    while (access_text_word(&line, &word)) {
        if (check_group_member(t, word, err) != 0)
            return -1;
        g->members = mem_grow(g->members, &g->members_room, g->members_n + 1, sizeof *g->members);
        g->members[g->members_n++] = (struct access_member){name, word};
    }
    return 0;
}

int
access_groups_parse(struct access_groups *g, struct bytes file, struct err *err)
{
    struct access_text t = {.name = ACCESS_GROUPS_NAME, .rest = file};
    struct bytes line;
    size_t n = 0;

    *g = (struct access_groups){0};
    if (file.n > ACCESS_GROUPS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s has more than %u bytes", t.name, ACCESS_GROUPS_MAX);
    while (access_text_next(&t, &line))
        if (parse_group_line(g, &t, line, err) != 0)
            return -1;
    if (g->names_n > 0)
        qsort(g->names, g->names_n, sizeof *g->names, bytes_order);
    for (size_t i = 0; i < g->names_n; i++)
        if (n == 0 || !bytes_equal(g->names[n - 1], g->names[i]))
            g->names[n++] = g->names[i];
    g->names_n = n;
    return 0;
}

void
access_groups_free(struct access_groups *g)
{
    free(g->members);
    free(g->names);
}

bool
access_groups_know(const struct access_groups *g, struct bytes name)
{
    return g->names_n > 0 && bsearch(&name, g->names, g->names_n, sizeof name, bytes_order) != NULL;
}
