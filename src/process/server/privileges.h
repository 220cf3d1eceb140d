#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "util/err.h"

/* The user of the serving processes. */
struct privileges {
    bool root; /* started as root */
    uid_t uid;
    gid_t gid;
    char user[64];  /* its name, or its number if it has no name */
    char home[256]; /* its home directory, for a root that becomes it; "" when it has none, or an
                     * odd one */
    bool keeps;     /* may still read root's files, on demand */
};

/* Started as root: run_as, or www-data if that is NULL. Started as a user: that user; another
 * run_as is an error. */
int privileges_plan(struct privileges *p, const char *run_as, struct err *err);

/* Becomes that user: ids, groups, capabilities; and verifies that there is no way back. With
 * keep_reading, CAP_DAC_READ_SEARCH stays within reach, so that a renewed key of root's can be
 * read. Does nothing if the process isn't root. */
int privileges_drop(struct privileges *p, bool keep_reading, struct err *err);

/* Switches the capability of keep_reading on and off. Programs that are executed don't have it. */
void privileges_reading(const struct privileges *p, bool on);

/* In a child: gives that capability up for good. 0, or -1 and errno. */
int privileges_forget(const struct privileges *p);
