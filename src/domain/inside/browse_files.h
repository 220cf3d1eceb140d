#pragma once

#include "domain/inside/browse.h"
#include "domain/inside/layer_files.h"

/* Reading many files of an open image, whose damaged indexes are mended. Both have to stay where
 * they are; layer_files_close, before the image is closed. */
void browse_files_of(struct layer_files *files, struct browse_image *im);
