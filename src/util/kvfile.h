#ifndef UTIL_KVFILE_H
#define UTIL_KVFILE_H

#include "util/bytes.h"
#include "util/err.h"

/* A configuration file: `name = value` or `name` a line; a line whose first byte is # is a comment,
 * empty lines are nothing; blanks round the name, the = and at the end (a CR too) don't count; no
 * quotes.
 * Calls fn(name, value or NULL, line number from 1, arg) for each; stops at the first that doesn't
 * return 0, and returns that; else 0. name and value last as long as the call; `name =` is "". A
 * line without a name, or a NUL, is ERR_BAD_REQUEST with the line's number. */
int kvfile_each(struct bytes text,
                int (*fn)(const char *name, const char *value, int line, void *arg,
                          struct err *err),
                void *arg, struct err *err);

#endif
