#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* After the database was put back as it was at an earlier moment: gives the blobs whose files it
 * doesn't know to a repository, where they can be used. */

#define REBUILD_REPOSITORY "recovered"
/* They stay this long, and longer if something keeps them by then. */
#define REBUILD_KEEP_MS (UINT64_C(7) * 24 * 3600 * 1000)

struct rebuild_counts {
    uint64_t files;        /* that were looked at */
    uint64_t blobs, bytes; /* that came back */
    uint64_t manifests;    /* of them */
    uint64_t damaged;      /* files that don't have their digest; they are left to the sweep */
    uint64_t missing;      /* records whose file is gone */
};

struct rebuild {
    const struct registry *reg;
    const char *repository;
    bool (*is_over)(void *arg);
    void (*tell)(void *arg, const struct rebuild_counts *n);
    /* For each blob that came back. */
    void (*found)(void *arg, const struct digest *d, uint64_t size, bool is_manifest);
    void *arg;
};

int rebuild_run(const struct rebuild *r, struct rebuild_counts *n, struct err *err);
