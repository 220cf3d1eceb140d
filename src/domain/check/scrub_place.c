#include "domain/check/scrub_place.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_meta.h"
#include "util/clock.h"
#include "util/pack.h"

#define SAVE_EACH_MS 60000
/* New blobs may come at any place. */
#define LOOK_EACH_MS 60000

static uint64_t
place_of(const struct digest *d)
{
    return unpack_uint_at(d->bytes, 8);
}

static int
save_place(struct txn *t, void *arg, struct err *err)
{
    const struct scrub_place *p = arg;

    kv_relax(t);
    return tbl_meta_put(t, META_SCRUB_BEGAN, p->began, err) != 0
               ? -1
               : tbl_meta_put(t, META_SCRUB_AT, p->at, err);
}

static int
save_scrub_place(const struct registry *reg, struct scrub_place *p, struct err *err)
{
    p->saved_ms = clock_mono_ms();
    p->saved = p->at;
    return txn_run_anyway(reg->kv, save_place, p, err);
}

/* A clock that was set back begins a new round. */
static int
begin_scrub_round(const struct registry *reg, struct scrub_place *p, uint64_t round_ms,
                  uint64_t now, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);

    if (p->began == 0) {
        int rc = tbl_meta_get(t, META_SCRUB_BEGAN, &p->began, err);

        if (rc < 0 || (rc == 1 && tbl_meta_get(t, META_SCRUB_AT, &p->at, err) < 0))
            return -1;
        p->saved_ms = clock_mono_ms();
        p->saved = p->at;
    }
    if (p->began != 0 && p->began <= now && (now - p->began < round_ms || p->at != UINT64_MAX))
        return 0;
    p->began = now;
    p->at = 0;
    return save_scrub_place(reg, p, err);
}

static int
take_first_blob(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    struct scrub_blob *b = arg;

    (void)err;
    *b = (struct scrub_blob){*d, *r};
    return 1;
}

/* The first blob of that algorithm behind the place. 1, 0, -1. */
static int
find_behind(const struct registry *reg, enum digest_algo algo, uint64_t place, struct scrub_blob *b,
            struct err *err)
{
    struct digest after = {.algo = algo};

    if (place == UINT64_MAX)
        return 0;
    pack_uint_at(after.bytes, place + 1, 8);
    b->digest.algo = DIGEST_NONE;
    if (tbl_blob_each(kv_reads(reg->kv), &after, take_first_blob, b, err) != 0)
        return -1;
    return b->digest.algo == algo;
}

/* The next of both algorithms. 1, 0, -1. */
static int
find_next(const struct registry *reg, uint64_t place, struct scrub_blob *b, struct err *err)
{
    struct scrub_blob other;
    int rc = find_behind(reg, DIGEST_SHA256, place, b, err);
    int rc2 = rc < 0 ? -1 : find_behind(reg, DIGEST_SHA512, place, &other, err);

    if (rc2 < 0)
        return -1;
    if (rc2 == 1 && (rc == 0 || place_of(&other.digest) < place_of(&b->digest)))
        *b = other;
    return rc == 1 || rc2 == 1;
}

int
scrub_place_next(const struct registry *reg, struct scrub_place *p, uint64_t round_ms,
                 struct scrub_blob *b, uint64_t *when, struct err *err)
{
    uint64_t now = clock_wall_ms(), due;
    int rc;

    if (begin_scrub_round(reg, p, round_ms, now, err) != 0)
        return -1;
    rc = find_next(reg, p->at, b, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        p->at = UINT64_MAX; /* the round is done, and the next one begins in its time */
    due = p->began + (uint64_t)((double)(rc == 1 ? place_of(&b->digest) : UINT64_MAX) /
                                18446744073709551616.0 * (double)round_ms);
    if (rc == 1 && due <= now)
        return 1;
    *when = due < now + LOOK_EACH_MS ? due : now + LOOK_EACH_MS;
    if (*when <= now)
        *when = now + 1;
    return 0;
}

int
scrub_place_done(const struct registry *reg, struct scrub_place *p, const struct digest *d,
                 bool now, struct err *err)
{
    if (d != NULL)
        p->at = place_of(d);
    if (p->began == 0 || p->at == p->saved ||
        (!now && clock_mono_ms() < p->saved_ms + SAVE_EACH_MS))
        return 0;
    return save_scrub_place(reg, p, err);
}
