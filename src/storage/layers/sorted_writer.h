#pragma once

#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* Writes a sorted_file. */

struct sorted_writer;

/* fd: an empty file, open for writing. The caller keeps it, and syncs it. */
struct sorted_writer *sorted_writer_new(int fd);
/* Appends a record. Keys must ascend; a key that doesn't, or a record that is too long, is
 * ERR_SYSTEM. */
int sorted_writer_put(struct sorted_writer *w, struct bytes key, struct bytes value,
                      struct err *err);
/* Completes the file, when this returns 0. */
int sorted_writer_finish(struct sorted_writer *w, struct err *err);
/* Bytes written to the file up to now. */
uint64_t sorted_writer_bytes(const struct sorted_writer *w);
void sorted_writer_free(struct sorted_writer *w);
