#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How far long work is: one line on stderr that is written over and over, if that is a terminal;
 * else nothing. */
struct progress {
    bool on;
    uint64_t next; /* clock_mono_ms() */
};

void progress_begin(struct progress *p);
/* Five times a second at most; call it as often as you like. */
void progress_tell(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Wipes the line, so that something else can be said. */
void progress_end(struct progress *p);

#define PROGRESS_SIZE_MAX 32
/* "1.5 GB", for people. */
void progress_size(char out[PROGRESS_SIZE_MAX], uint64_t bytes);
