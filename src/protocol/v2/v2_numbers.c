#include "protocol/v2/v2_numbers.h"
#include "util/arena.h"

int
v2_numbers(struct call *c, struct metrics_numbers **out, struct err *err)
{
    struct metrics_numbers *v = arena_alloc(c->arena, sizeof *v);
    struct actor user = c->actor;

    user.grants = NULL;
    if (access_check_administrator(c->reg, &user, err) != 0)
        return -1;
    if (v == NULL)
        return arena_full(err);
    metrics_read(c->reg->metrics, v);
    *out = v;
    return 0;
}
