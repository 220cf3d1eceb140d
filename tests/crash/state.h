#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim.h"

/* The states that a power loss may leave of the changes that the shim has recorded. */

struct state_record {
    char *bytes;
    size_t n;
    const struct shim_event **v; /* into bytes */
    size_t events;
};

/* 0, -1 (message on stderr). */
int state_read(struct state_record *r, const char *path);
void state_free(struct state_record *r);
const char *state_name(const struct shim_event *e);
const char *state_data(const struct shim_event *e);

/* How a state is chosen, of all that the kernel may leave after the first `events` events.
 * Everything that was synced is there. The rest:
 *
 * names    STATE_JOURNAL: they reach the disk in their order, and an fsync of anything takes all
 *          names before it along (ext4, xfs). STATE_LOOSE: each name by itself, until the directory
 *          is synced (POSIX).
 * bytes    each page of a file is as it was at any moment since the sync of the file, and so is the
 *          length of the file. */
enum state_names { STATE_JOURNAL, STATE_LOOSE };
enum state_bytes {
    STATE_ALL,    /* all are there: a crash of the processes alone */
    STATE_NONE,   /* none of them */
    STATE_RANDOM, /* each page at random */
    STATE_FIRST,  /* those of the first changes */
    STATE_BYTES,
};

struct state_choice {
    size_t events;
    enum state_names names;
    enum state_bytes bytes;
    uint64_t seed;
};

/* Makes it in the directory, which is empty. 0, -1. */
int state_make(const struct state_record *r, const struct state_choice *choice, const char *dir);
