#include "storage/tables/key.h"

static void *
key_extend(struct key *k, size_t n)
{
    if (n > sizeof k->p - k->n)
        abort();
    k->n += n;
    return k->p + k->n - n;
}

void
key_u8(struct key *k, uint8_t v)
{
    pack_uint_at(key_extend(k, 1), v, 1);
}

void
key_u32(struct key *k, uint32_t v)
{
    pack_uint_at(key_extend(k, 4), v, 4);
}

void
key_u64(struct key *k, uint64_t v)
{
    pack_uint_at(key_extend(k, 8), v, 8);
}

void
key_digest(struct key *k, const struct digest *d)
{
    key_u8(k, (uint8_t)d->algo);
    key_bytes(k, bytes_of(d->bytes, digest_size(d->algo)));
}

void
key_bytes(struct key *k, struct bytes b)
{
    void *p = key_extend(k, b.n);

    if (b.n > 0)
        memcpy(p, b.p, b.n);
}

void
key_text(struct key *k, const char *s)
{
    key_bytes(k, bytes_str(s));
}

void
key_closed_text(struct key *k, const char *s)
{
    key_text(k, s);
    key_u8(k, '\0');
}

struct key
key_of_digest(const struct digest *d)
{
    struct key k = {.n = 0};

    key_digest(&k, d);
    return k;
}

struct key
key_of_text(const char *s)
{
    struct key k = {.n = 0};

    key_text(&k, s);
    return k;
}

struct bytes
key_of(const struct key *k)
{
    return bytes_of(k->p, k->n);
}

void
key_take_text(struct unpack *u, char *out, size_t room)
{
    struct bytes text = unpack_rest(u);

    u->bad = u->bad || text.n >= room;
    if (u->bad)
        return;
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
}
