#include "domain/check/check_waits.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_damage.h"

static int
count_waiting(const struct digest *d, const struct rec_damage *r, void *arg, struct err *err)
{
    struct check *c = arg;

    (void)d;
    (void)err;
    c->waiting += r->state == DAMAGE_WAITS;
    return 0;
}

int
check_waits_count(struct check *c, struct err *err)
{
    c->waiting = 0;
    return tbl_damage_each(kv_reads(c->reg->kv), NULL, count_waiting, c, err);
}
