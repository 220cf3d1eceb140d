#pragma once

#include "domain/inside/browse.h"
#include "domain/inside/packages.h"

/* Bytes of the files of one image that are read, files of status.d, and milliseconds after which no
 * further one is begun: to each, much may have to be decoded. */
#define IMAGE_PACKAGES_BYTES ((size_t)32 << 20)
#define IMAGE_PACKAGES_FILES 2000
#define IMAGE_PACKAGES_MS 8000
#define IMAGE_PACKAGES_NAME 255 /* bytes of their names; a longer one is passed over */

/* Reads the packages of an image out of its own files, sorted. Texts are in the arena. The caller
 * ends with packages_free, also after -1. 0; -1: as browse_find and browse_read. */
int image_packages_read(struct browse_image *im, struct arena *arena, struct packages *out,
                        struct err *err);
