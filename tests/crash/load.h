#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "util/digest.h"

/* A scripted load on a store, in one process, with the functions that the server calls: pushes with
 * shared layers, small and large manifests, tags that move and go, deletions, mounts, blobs without
 * a manifest, garbage, checkpoints, upkeep. All of it follows from a seed. The checker (check.h)
 * knows what the script has reported as done. */

enum load_kind {
    LOAD_PUSH,       /* image to tag of repository */
    LOAD_TAG_GOES,   /* tag of repository */
    LOAD_IMAGE_GOES, /* image of repository, with its tags */
    LOAD_BLOB,       /* a loose blob to repository */
    LOAD_MOUNT,      /* a loose blob from the next repository to this one */
    LOAD_BLOB_GOES,  /* a loose blob */
    LOAD_HALF,       /* an upload that is left open */
    LOAD_GARBAGE,    /* all leases end, and what they kept goes */
    LOAD_CHECKPOINT, /* and old logs go */
    LOAD_UPKEEP,     /* events and expired uploads go, and a directory is swept */
    LOAD_KINDS,
};

#define LOAD_REPOSITORIES 3
#define LOAD_TAGS 4
#define LOAD_IMAGES 8
#define LOAD_LOOSE 6

struct load_step {
    enum load_kind kind;
    unsigned repository, tag, image, blob, piece;
};

/* Step i of the script. */
struct load_step load_step_of(uint64_t seed, unsigned i);

/* Names and bytes. The caller frees the bytes. */
const char *load_repository(unsigned i);
const char *load_tag(unsigned i);
char *load_layer(unsigned image, unsigned which, size_t *n, struct digest *d);
char *load_loose(unsigned i, size_t *n, struct digest *d);
char *load_manifest(unsigned image, size_t *n, struct digest *d);
unsigned load_layers_n(unsigned image); /* with its config */

/* The working directory becomes a data directory: directories, recovery, open store. fresh: it is
 * new, and not what a crash left. small_logs: the database begins new log files often. 0, -1. */
int load_open(struct registry *reg, bool fresh, bool small_logs, struct err *err);
void load_close(struct registry *reg);

/* Does a step. 0, -1. A step whose object isn't there has done nothing, and is 0. */
int load_do(const struct registry *reg, const struct load_step *s, struct err *err);
/* Collects all garbage, after all leases. */
int load_collect(const struct registry *reg, struct err *err);

/* Puts the clock of this program forward. */
void load_forward_ms(uint64_t ms);

/* A number that follows from two. */
uint64_t load_mix(uint64_t a, uint64_t b);
