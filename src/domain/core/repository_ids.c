#include "domain/core/repository_ids.h"
#include <stdlib.h>
#include "util/fnv.h"
#include "util/mem.h"

#define PLACES 4096

/* A name has one place, by its hash. Of another name with the same hash, the guess is wrong. */
struct repository_ids {
    struct {
        uint64_t hash, id;
    } v[PLACES];
};

struct repository_ids *
repository_ids_new(void)
{
    return mem_alloc(sizeof(struct repository_ids));
}

void
repository_ids_free(struct repository_ids *ids)
{
    free(ids);
}

uint64_t
repository_ids_guess(const struct repository_ids *ids, const char *name)
{
    uint64_t hash = fnv_hash(FNV_START, bytes_str(name));

    if (ids == NULL)
        return 0;
    return ids->v[hash % PLACES].hash == hash ? ids->v[hash % PLACES].id : 0;
}

void
repository_ids_note(struct repository_ids *ids, const char *name, uint64_t id)
{
    uint64_t hash = fnv_hash(FNV_START, bytes_str(name));

    if (ids == NULL)
        return;
    ids->v[hash % PLACES].hash = hash;
    ids->v[hash % PLACES].id = id;
}
