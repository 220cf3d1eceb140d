#include "domain/core/gone_set.h"
#include <string.h>
#include "util/mem.h"

#define ROOM_AT_FIRST 1024

/* All zero: free. */
struct gone_set_slot {
    uint64_t a, b;
};

static struct gone_set_slot
slot_of_member(uint64_t number, const struct digest *d)
{
    struct gone_set_slot s;

    memcpy(&s.a, d->bytes, sizeof s.a);
    memcpy(&s.b, d->bytes + sizeof s.a, sizeof s.b);
    s.a ^= number * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)d->algo;
    if (s.a == 0 && s.b == 0)
        s.b = 1;
    return s;
}

/* The slot of that member, or the free one where it belongs. */
static struct gone_set_slot *
find_member_slot(const struct gone_set *s, struct gone_set_slot member)
{
    size_t at = (size_t)(member.a ^ member.b * UINT64_C(0xff51afd7ed558ccd)) % s->room;

    while ((s->v[at].a != 0 || s->v[at].b != 0) &&
           (s->v[at].a != member.a || s->v[at].b != member.b))
        at = (at + 1) % s->room;
    return &s->v[at];
}

static void
enlarge_set(struct gone_set *s)
{
    struct gone_set larger = {.room = s->room > 0 ? s->room * 2 : ROOM_AT_FIRST};

    larger.v = mem_array(larger.room, sizeof *larger.v);
    for (size_t i = 0; i < s->room; i++)
        if (s->v[i].a != 0 || s->v[i].b != 0)
            *find_member_slot(&larger, s->v[i]) = s->v[i];
    larger.n = s->n;
    gone_set_free(s);
    *s = larger;
}

bool
gone_set_add(struct gone_set *s, uint64_t number, const struct digest *d)
{
    struct gone_set_slot member = slot_of_member(number, d), *slot;

    if (gone_set_has(s, number, d) || s->n == GONE_SET_MAX)
        return false;
    if (s->n * 2 >= s->room)
        enlarge_set(s);
    slot = find_member_slot(s, member);
    *slot = member;
    s->n++;
    return true;
}

bool
gone_set_has(const struct gone_set *s, uint64_t number, const struct digest *d)
{
    const struct gone_set_slot *slot;

    if (s->room == 0)
        return false;
    slot = find_member_slot(s, slot_of_member(number, d));
    return slot->a != 0 || slot->b != 0;
}

void
gone_set_free(struct gone_set *s)
{
    free(s->v);
    *s = (struct gone_set){.n = 0};
}
