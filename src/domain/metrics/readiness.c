#include "domain/metrics/readiness.h"
#include "storage/files/disk_space.h"
#include "util/clock.h"

/* Tries to read a reason that is just being written. */
#define READ_TRIES 100

static const char *const readiness_names[READINESS_PARTS] = {
    [READINESS_DATABASE] = "database", [READINESS_DISK] = "disk",   [READINESS_KEEPER] = "keeper",
    [READINESS_INDEXER] = "indexer",   [READINESS_HOOKS] = "hooks", [READINESS_BLOBS] = "blobs",
};

const char *
readiness_name(enum readiness_part part)
{
    return readiness_names[part];
}

void
readiness_set_patience(struct readiness *r, enum readiness_part part, uint64_t ms)
{
    if (r != NULL)
        atomic_store(&r->patience_ms[part], ms);
}

static void
set_why(struct readiness_told *t, const char *why)
{
    atomic_fetch_add(&t->version, 1);
    snprintf(t->why, sizeof t->why, "%s", why);
    atomic_fetch_add(&t->version, 1);
}

void
readiness_tell_well(struct readiness *r, enum readiness_part part)
{
    if (r == NULL)
        return;
    atomic_store(&r->told[part].well_ms, clock_mono_ms());
    if (r->told[part].why[0] != '\0')
        set_why(&r->told[part], "");
}

void
readiness_tell_ill(struct readiness *r, enum readiness_part part, const char *why)
{
    if (r != NULL && strncmp(r->told[part].why, why, READINESS_WHY_MAX - 1) != 0)
        set_why(&r->told[part], why);
}

/* A process may have died while it wrote: then the reason is unknown. */
static void
get_why(struct readiness_told *t, char why[READINESS_WHY_MAX])
{
    for (int i = 0; i < READ_TRIES; i++) {
        unsigned version = atomic_load(&t->version);

        memcpy(why, t->why, READINESS_WHY_MAX);
        why[READINESS_WHY_MAX - 1] = '\0';
        atomic_thread_fence(memory_order_acquire);
        if (version % 2 == 0 && version == atomic_load(&t->version))
            return;
    }
    why[0] = '\0';
}

void
readiness_note_loss(struct readiness *r, const char *why)
{
    if (r != NULL)
        snprintf(r->loss, sizeof r->loss, "%s", why);
}

/* The disk is looked at now, since the keeper may be the one that waits for it. */
static bool
has_disk_room(int dirfd, char why[READINESS_WHY_MAX])
{
    struct err err;

    if (disk_space_check(dirfd, 0, &err) == 0)
        return true;
    snprintf(why, READINESS_WHY_MAX, "%s", err.message);
    return false;
}

bool
readiness_is_well(struct readiness *r, enum readiness_part part, int dirfd,
                  char why[READINESS_WHY_MAX])
{
    struct readiness_told *t = &r->told[part];
    uint64_t now = clock_mono_ms(), well = atomic_load(&t->well_ms);

    why[0] = '\0';
    if (atomic_load(&r->patience_ms[part]) == UINT64_MAX)
        return true;
    if (part == READINESS_DISK)
        return has_disk_room(dirfd, why);
    get_why(t, why);
    if (why[0] == '\0' && part == READINESS_DATABASE)
        memcpy(why, r->loss, READINESS_WHY_MAX);
    if (why[0] != '\0')
        return false;
    if (well > 0 && (now < well || now - well <= atomic_load(&r->patience_ms[part])))
        return true;
    if (well == 0)
        snprintf(why, READINESS_WHY_MAX, "nothing is known of it yet");
    else
        snprintf(why, READINESS_WHY_MAX, "there was no sign of it for %llu s",
                 (unsigned long long)(now - well) / 1000);
    return false;
}
