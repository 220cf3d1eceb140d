#pragma once

#include <stdbool.h>
#include "process/options/options.h"
#include "process/options/options_table.h"
#include "util/buf.h"

/* What SIGHUP finds in a configuration that has changed. */

/* Has the option another value? Passwords (OPTIONS_USER) aren't compared. */
bool options_change_is(const struct options_row *row, const struct options *a,
                       const struct options *b);

/* Appends "name=value" and a NUL for each value of the options that count after a restart only, for
 * options_parse_kept. */
void options_change_keep(const struct options *o, struct buf *out);
