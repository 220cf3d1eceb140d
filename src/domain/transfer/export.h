#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/transfer/export_plan.h"
#include "util/err.h"

/* An OCI layout (image-spec 1.1, "image-layout.md") as a tar. The same content gives the same
 * bytes: nothing of the time, the machine or the order of the arguments is in it. What says that it
 * is whole (manifest.json, oci-layout, index.json) comes last, in this order, so what was cut is no
 * layout for anybody. Blobs are sent as they are, and not hashed again. */

struct export_to {
    int fd; /* of any kind */
    const char *what;
    /* Is it to stop? Asked about once a second. */
    bool (*is_over)(void *arg);
    /* How many bytes of blobs are written, and will be. */
    void (*tell)(void *arg, uint64_t done, uint64_t all);
    void *arg;
};

/* The plan is sorted. ERR_NO_BLOB, ERR_NO_MANIFEST: it was deleted in the meantime. */
int export_write(const struct export_plan *p, const struct export_to *to, struct err *err);
