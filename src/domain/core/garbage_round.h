#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/core/gone_set.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* A full round of garbage collection at once, beside a keeper that collects, too: all manifests
 * (with has_untagged), images of the first API, blobs, and files without a record. It decides by
 * the same transactions as the keeper (garbage.h), and cuts no lease short. */

enum garbage_kind {
    GARBAGE_MANIFEST,
    GARBAGE_IMAGE, /* of the first API */
    GARBAGE_BLOB,  /* with its file */
    GARBAGE_FILE,  /* without a record */
    GARBAGE_KINDS,
};

/* One thing that went, or waits. */
struct garbage_item {
    enum garbage_kind kind;
    const struct digest *digest;
    const char *repository; /* of a manifest; otherwise NULL */
    uint64_t size;          /* bytes on the disk that go with it; of a manifest: its document */
    uint64_t until;         /* the end of the lease that it waits for; 0: it went */
    bool is_history;        /* it waits for the end of a tag's history */
};

struct garbage_round {
    const struct registry *reg;
    bool dry_run;         /* changes nothing, and tells what would go now */
    bool has_untagged;    /* deletes manifests that nothing reaches (untagged.h), */
    uint64_t untagged_ms; /* of this age, */
    const char *by;       /* as the deed of this actor */
    void (*tell)(const struct garbage_item *item, void *arg);
    void (*show)(const char *what, uint64_t n, void *arg); /* progress */
    bool (*is_over)(void *arg);                            /* ends the round early */
    void *arg;

    struct gone_set gone; /* of a dry run: what would go; all zero at first */
    struct gone_set told; /* files that were told of */
    uint64_t trashed;     /* deleted manifests that can come back; 0 at first */
};

int garbage_round_run(struct garbage_round *round, struct err *err);

/* For the part of foreign images (foreign_images.h). */
void garbage_round_tell(struct garbage_round *round, const struct garbage_item *item);
bool garbage_round_is_over(struct garbage_round *round);
/* Does anything that doesn't count as gone keep the digest by an edge? 1, 0, -1. */
int garbage_round_keeps(struct garbage_round *round, const struct digest *d, struct err *err);
