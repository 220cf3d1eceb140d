#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/hook.h"
#include "util/bytes.h"
#include "util/err.h"
#include "util/json.h"

/* The last run of each hook: when, for what, how it ended, and the end of its output. A file
 * run/hook-NAME has it, for administrators who look at why a hook fails. It stays when the server
 * stops. A process that can't write it goes on without. */

/* Bytes of output that are kept: the last whole lines. */
#define HOOK_LAST_OUTPUT 4096

/* The text is in the middle of twice the room, so that few lines move it. */
struct hook_last_output {
    char room[2 * HOOK_LAST_OUTPUT];
    size_t at, n;
};

/* Adds a line, without its end. To make room, lines at the beginning are removed. */
void hook_last_line(struct hook_last_output *o, struct bytes line);

struct hook_last {
    enum hook which;
    const struct rec_event *event;
    uint64_t began_ms; /* clock_wall_ms() */
    bool has_status;   /* false: it wasn't started */
    int status;        /* as from waitpid */
    const char *why;   /* the reason of a failure that the status doesn't tell; "" */
    const struct hook_last_output *output;
};

/* Replaces the record of that hook. It ended now. dirfd: the data directory. */
void hook_last_save(int dirfd, const struct hook_last *h);

/* The record as an object, which belongs to the caller: began, ended, repository, tag, exit_code,
 * signal, why, output. False: the hook hasn't run, or its record is damaged or can't be read. This
 * is no error, so that the records of other hooks can still be shown. */
bool hook_last_read(int dirfd, enum hook which, struct json **out);
