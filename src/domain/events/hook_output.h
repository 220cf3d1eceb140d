#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/hook.h"
#include "domain/events/hook_last.h"

/* Copies the output of a hook to the log (stdout), line by line:
 *   1b930d010525 - executing ./hooks/tag 1b930d010525... app:v1
 *   1b930d010525 - ./hooks/tag: a line of its output
 * Each line is one write. Control characters, and bytes that aren't UTF-8, become '?', so that a
 * hook can neither forge a line of another one nor control a terminal. */

/* Bytes of a line; the rest of a longer line is dropped. */
#define HOOK_OUTPUT_LINE_MAX 1000
/* Bytes of a run. Further lines aren't written, which is said once, but the last one is kept. */
#define HOOK_OUTPUT_MAX (64u << 10)

struct hook_output {
    char begin[64]; /* "1b930d010525 - ./hooks/tag: " */
    char line[HOOK_OUTPUT_LINE_MAX + 1];
    size_t n;
    bool any;                            /* a byte of the current line was seen */
    size_t bytes;                        /* written to the log */
    bool enough;                         /* HOOK_OUTPUT_MAX was passed */
    char last[HOOK_OUTPUT_LINE_MAX + 1]; /* the last line that wasn't empty, or "" */
    struct hook_last_output tail;        /* the end of all output */
};

/* Writes the "executing" line. */
void hook_output_begin(struct hook_output *o, enum hook which, const struct rec_event *e);
void hook_output_take(struct hook_output *o, const char *p, size_t n);
/* Also writes a last line that has no newline. */
void hook_output_end(struct hook_output *o);
