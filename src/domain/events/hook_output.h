#ifndef DOMAIN_EVENTS_HOOK_OUTPUT_H
#define DOMAIN_EVENTS_HOOK_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/hook.h"

/* What a hook says, on its way to the log (stdout), line by line:
 *   1b930d010525 - executing ./hooks/tag 1b930d010525... app:v1
 *   1b930d010525 - ./hooks/tag: what it said
 * Each line is one write. A longer line is cut; control characters, and what is no UTF-8, become
 * '?', so that no hook forges another's line or speaks to a terminal; behind HOOK_OUTPUT_MAX bytes
 * nothing more of a run is written, which is said once. The last line is kept in any case. */

#define HOOK_OUTPUT_LINE_MAX 1000
#define HOOK_OUTPUT_MAX (64u << 10)

struct hook_output {
    char begin[64]; /* "1b930d010525 - ./hooks/tag: " */
    char line[HOOK_OUTPUT_LINE_MAX + 1];
    size_t n;
    bool any;     /* in this line, cut or not */
    size_t bytes; /* that went to the log */
    bool enough;
    char last[HOOK_OUTPUT_LINE_MAX + 1]; /* the last line that wasn't empty, or "" */
};

/* Writes the line that it is executed. */
void hook_output_begin(struct hook_output *o, enum hook which, const struct rec_event *e);
void hook_output_take(struct hook_output *o, const char *p, size_t n);
/* A last line without an end counts, too. */
void hook_output_end(struct hook_output *o);

#endif
