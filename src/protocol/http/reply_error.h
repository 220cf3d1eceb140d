#pragma once

#include "protocol/http/call.h"
#include "protocol/http/error_form.h"

/* Makes the reply of an error, by its row in error_table.c. Headers that are already set stay. */
void reply_error(struct call *c, enum error_form form, const struct err *err);
