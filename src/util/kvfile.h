#pragma once

#include "util/bytes.h"
#include "util/err.h"

/* Reads a configuration file. Each line is `name = value` or `name`. Lines that begin with # are
 * comments, and empty lines are ignored. Blanks around the name, around the =, and at the end of
 * the line (also a CR) are ignored. There are no quotes.
 *
 * Calls fn(name, value or NULL, line number from 1, arg) for each line until fn returns non-zero,
 * and returns that value, or 0. name and value are valid during the call; the value of `name =` is
 * "". A line without a name, or with a NUL, is ERR_BAD_REQUEST; the message has its number. */
int kvfile_each(struct bytes text,
                int (*fn)(const char *name, const char *value, int line, void *arg,
                          struct err *err),
                void *arg, struct err *err);
