#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/transfer/export_plan.h"
#include "util/err.h"

/* Writes an OCI layout (image-spec 1.1, "image-layout.md") as a tar. The same content gives the
 * same bytes: they don't depend on the time, the machine or the order of the arguments.
 * manifest.json, oci-layout and index.json come last, in this order, so that a truncated tar is no
 * layout. Blobs are written as they are stored, and are not hashed again. */

struct export_to {
    int fd; /* of any kind */
    const char *what;
    /* True to stop the export. Called about once a second. */
    bool (*is_over)(void *arg);
    /* Progress: bytes of blobs written, and bytes in all. */
    void (*tell)(void *arg, uint64_t done, uint64_t all);
    void *arg;
};

/* p: sorted. ERR_NO_BLOB, ERR_NO_MANIFEST: something was deleted in the meantime. */
int export_write(const struct export_plan *p, const struct export_to *to, struct err *err);
