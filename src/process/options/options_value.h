#ifndef PROCESS_OPTIONS_OPTIONS_VALUE_H
#define PROCESS_OPTIONS_OPTIONS_VALUE_H

#include "process/options/options.h"
#include "process/options/options_table.h"
#include "util/err.h"

/* From a value's text to the member of struct options, checked. what: how the option is called in
 * messages. 0, or -1 with what is wanted. */

int options_value_set(struct options *o, const struct options_row *row, const char *value,
                      const char *what, struct err *err);

/* For defaults that are texts. */
int options_value_text(char **to, const char *value, struct err *err);
int options_value_add(struct options_list *list, const char *value, const char *what,
                      struct err *err);
int options_value_add_port(struct options_list *list, const char *value, const char *what,
                           struct err *err);

#endif
