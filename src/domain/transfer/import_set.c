#include "domain/transfer/import_set.h"
#include <stdint.h>
#include "util/mem.h"

void
import_set_free(struct import_set *s)
{
    free(s->v);
    *s = (struct import_set){.v = NULL};
}

/* The place of a digest, or the free place where it belongs. There is always a free one. A hostile
 * source can make digests collide here only by computing very many hashes. */
static size_t
digest_place(const struct import_set *s, const struct digest *d)
{
    uint64_t hash;
    size_t i;

    memcpy(&hash, d->bytes, sizeof hash);
    for (i = (size_t)hash & (s->room - 1); s->v[i].algo != DIGEST_NONE; i = (i + 1) & (s->room - 1))
        if (digest_equal(&s->v[i], d))
            break;
    return i;
}

bool
import_set_has(const struct import_set *s, const struct digest *d)
{
    return s->n > 0 && s->v[digest_place(s, d)].algo != DIGEST_NONE;
}

static void
grow_set(struct import_set *s)
{
    struct import_set wider = {.n = s->n, .room = s->room > 0 ? 2 * s->room : 64};

    wider.v = mem_array(wider.room, sizeof *wider.v);
    for (size_t i = 0; i < s->room; i++)
        if (s->v[i].algo != DIGEST_NONE)
            wider.v[digest_place(&wider, &s->v[i])] = s->v[i];
    free(s->v);
    *s = wider;
}

void
import_set_add(struct import_set *s, const struct digest *d, bool *is_new)
{
    size_t i;

    if (s->n >= s->room / 2)
        grow_set(s);
    i = digest_place(s, d);
    if (is_new != NULL)
        *is_new = s->v[i].algo == DIGEST_NONE;
    s->n += s->v[i].algo == DIGEST_NONE;
    s->v[i] = *d;
}
