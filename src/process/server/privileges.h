#ifndef PROCESS_SERVER_PRIVILEGES_H
#define PROCESS_SERVER_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>
#include "util/err.h"

/* Who the server is once it serves. */
struct privileges {
    bool root; /* started as root */
    uid_t uid;
    gid_t gid;
    char user[64];  /* its name, or its number when it has none */
    char home[256]; /* when root becomes it; "" when it has none, or an odd one */
    bool keeps;     /* may still read what only root may, on demand */
};

/* Started as root: run_as, www-data when that is NULL. Started as a user: that user; another
 * run_as is an error. */
int privileges_plan(struct privileges *p, const char *run_as, struct err *err);

/* Becomes that user: ids, groups, capabilities, and makes sure that there is no way back. With
 * keep_reading, CAP_DAC_READ_SEARCH stays within reach, so that a renewed key that only root may
 * read can be read. Nothing happens when the user is one already. */
int privileges_drop(struct privileges *p, bool keep_reading, struct err *err);

/* Switches on and off what keep_reading kept; whatever is executed doesn't have it. */
void privileges_reading(const struct privileges *p, bool on);

/* In a child: gives it up for good. 0, or -1 and errno. */
int privileges_forget(const struct privileges *p);

#endif
