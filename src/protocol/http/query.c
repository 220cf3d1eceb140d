#include "protocol/http/query.h"
#include "protocol/http/path.h"
#include "util/arena.h"

/* Decodes n bytes of s. NULL, with err filled, if they can't be decoded. */
static const char *
decode(const char *s, size_t n, struct arena *arena, struct err *err)
{
    char *copy = arena_copy(arena, s, n);
    size_t decoded;

    if (copy == NULL) {
        arena_full(err);
        return NULL;
    }
    decoded = path_unescape(copy, n, 1);
    if (decoded == (size_t)-1 || memchr(copy, '\0', decoded) != NULL) {
        err_set(err, ERR_BAD_REQUEST, "the query has a bad escape");
        return NULL;
    }
    copy[decoded] = '\0';
    return copy;
}

int
query_parse(struct query *q, const char *raw, struct arena *arena, struct err *err)
{
    q->n = 0;
    while (*raw != '\0') {
        size_t length = strcspn(raw, "&"), name = strcspn(raw, "&=");

        if (length > 0) {
            if (q->n == QUERY_PARAMETERS_MAX)
                return err_set(err, ERR_TOO_LONG, "the query has too many parameters");
            q->parameters[q->n].name = decode(raw, name, arena, err);
            q->parameters[q->n].value =
                name < length ? decode(raw + name + 1, length - name - 1, arena, err) : "";
            if (q->parameters[q->n].name == NULL || q->parameters[q->n].value == NULL)
                return -1;
            q->n++;
        }
        raw += length + (raw[length] == '&' ? 1 : 0);
    }
    return 0;
}

const char *
query_get(const struct query *q, const char *name)
{
    for (size_t i = 0; i < q->n; i++)
        if (strcmp(q->parameters[i].name, name) == 0)
            return q->parameters[i].value;
    return NULL;
}
