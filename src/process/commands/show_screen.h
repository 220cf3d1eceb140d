#pragma once

#include <stdbool.h>
#include "util/json.h"

/* What the command "show" has found (command_show.c), for people. The texts in it come from those
 * who pushed: control characters are replaced. */
void show_screen_print(const struct json *facts, bool has_colour);
