#include "storage/kv/kv_open.h"
#include "storage/kv/bdb_filling.h"
#include "util/fdio.h"

/* The one place that chooses a filling. */

static const struct kv_filling *const filling = &bdb_filling;

int
kv_recover(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    return filling->recover(dir, tables, n, err);
}

struct kv *
kv_open(const char *dir, const struct kv_table *tables, size_t n, struct kv_slot *slot,
        void (*lost)(const char *why), struct err *err)
{
    struct kv *kv = filling->open(dir, tables, n, slot, lost, err);

    if (kv == NULL)
        return NULL;
    kv->filling = filling;
    kv->tables = tables;
    kv->n = n;
    kv->keep_room = -1;
    kv->reads = (struct txn){.kv = kv, .is_reads = true};
    kv->txn = (struct txn){.kv = kv};
    return kv;
}

void
kv_close(struct kv *kv)
{
    if (kv == NULL)
        return;
    fdio_close(kv->keep_room);
    kv->filling->close(kv);
}
