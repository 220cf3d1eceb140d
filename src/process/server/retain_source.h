#pragma once

#include <stdbool.h>
#include "domain/retention/retain_rules.h"
#include "process/options/options.h"
#include "util/err.h"

/* The administrator's rules of retention: --retain FILE or auth/retain. The master checks them and
 * copies them to run/retain (domain/retention/retain_round.h), which the keeper reads. So a file
 * with a mistake changes nothing. */
struct retain_source {
    int dirfd; /* the name is relative to this directory */
    const char *name;
    bool given;   /* by --retain: the file must be there */
    size_t rules; /* that are in force */
};

struct retain_source retain_source_of(const struct options *o, int startdir, int dirfd);

/* Reads and checks the rules. 1; 0: there is no such file; -1. Free *rules in each case. */
int retain_source_read(const struct retain_source *s, struct retain_rules *rules, struct err *err);

/* Reads and checks the rules, and puts them into run/retain below dirfd; or removes that, if there
 * are none. After a failure, the message of which names file and line, run/retain is as it was. */
int retain_source_install(struct retain_source *s, int dirfd, struct err *err);
