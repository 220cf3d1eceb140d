#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/size_text.h"

/* Progress of long work: one line on stderr that is overwritten, if stderr is a terminal; otherwise
 * nothing. */
struct progress {
    bool on;
    uint64_t next; /* clock_mono_ms() */
};

void progress_begin(struct progress *p);
/* Prints at most five times a second; may be called often. */
void progress_tell(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Clears the line for other output. */
void progress_end(struct progress *p);

#define PROGRESS_SIZE_MAX SIZE_TEXT_MAX
/* "1.5 GB", for people. */
void progress_size(char out[PROGRESS_SIZE_MAX], uint64_t bytes);
#define PROGRESS_EXACT_MAX 64
/* "s" unless n is 1, for "1 tag", "2 tags". */
const char *progress_plural(uint64_t n);
/* "1.5 GB (1502400000 bytes)", or "563 bytes" alone. */
void progress_exact_size(char out[PROGRESS_EXACT_MAX], uint64_t bytes);
