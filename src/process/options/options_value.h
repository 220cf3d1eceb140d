#pragma once

#include "process/options/options.h"
#include "process/options/options_table.h"
#include "util/err.h"

/* Checks the text of an option's value and stores it in the member of struct options. what: the
 * option's name in messages. 0, or -1; err says what the value must be. */
int options_value_set(struct options *o, const struct options_row *row, const char *value,
                      const char *what, struct err *err);

/* Adds a copy of the text. */
int options_value_add(struct options *o, struct options_list *list, const char *value,
                      const char *what, struct err *err);
