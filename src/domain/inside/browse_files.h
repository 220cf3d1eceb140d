#pragma once

#include "domain/inside/browse.h"
#include "domain/inside/layer_files.h"

/* Reads many files of an open image, and replaces damaged indexes. The image and the files must
 * stay where they are in memory. Call layer_files_close before the image is closed. */
void browse_files_of(struct layer_files *files, struct browse_image *im);
