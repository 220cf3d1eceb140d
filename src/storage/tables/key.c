#include "storage/tables/key.h"

#include <stdlib.h>
#include <string.h>

#include "util/banned.h"

void
key_bytes(struct key *k, struct bytes b)
{
    if (b.n > sizeof k->p - k->n)
        abort();
    if (b.n > 0)
        memcpy(k->p + k->n, b.p, b.n);
    k->n += b.n;
}

void
key_u8(struct key *k, uint8_t v)
{
    key_bytes(k, bytes_of(&v, 1));
}

void
key_u64(struct key *k, uint64_t v)
{
    uint8_t b[8];

    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (56 - 8 * i));
    key_bytes(k, bytes_of(b, sizeof b));
}

void
key_digest(struct key *k, const struct digest *d)
{
    key_u8(k, (uint8_t)d->algo);
    key_bytes(k, bytes_of(d->bytes, digest_size(d->algo)));
}

void
key_text(struct key *k, const char *s)
{
    key_bytes(k, bytes_str(s));
}

void
key_closed_text(struct key *k, const char *s)
{
    key_bytes(k, bytes_of(s, strlen(s) + 1));
}

struct bytes
key_of(const struct key *k)
{
    return bytes_of(k->p, k->n);
}
