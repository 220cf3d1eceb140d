#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* Signatures and the like that are attached to an image by the name of their tag, and the image
 * that they belong to. */

/* Is it such a tag: sha256-<64 hex>, or with a dot and a suffix behind it (.sig, .att, .sbom)?
 * *image: the digest in its name. */
bool retain_image_signed(const char *tag, struct digest *image);

/* Does the manifest stay? It is in the repository, and there is a tag that names it and stays, or
 * an index of which this is true, or its subject. A signature that names it stays if its own image
 * does. stays: asked for each other tag: 1, 0, -1. A manifest with too much around it to look at
 * (RETAIN_IMAGE_LOOKS) stays. 1, 0, -1; ERR_CORRUPT: it depends on the subject of a manifest that
 * can't be read. */
#define RETAIN_IMAGE_LOOKS 1000
int retain_image_stays(const struct registry *reg, uint64_t repo, const struct digest *d,
                       int (*stays)(const char *tag, const struct rec_tag *r, void *arg,
                                    struct err *err),
                       void *arg, struct err *err);
