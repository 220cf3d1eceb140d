#pragma once

#include "util/err.h"

/* The directories that files of blobs are spread over ("layers/sha256/ab"). Each is made when the
 * first blob comes into it: a first start would have to wait for all 512. */

/* Makes the directory name below dir, unless it is there; dir has the one above. When this returns,
 * its name is on the disk. 0 or -1. */
int blob_directory_need(int dir, const char *name, struct err *err);
