#pragma once

#include <stdbool.h>
#include "util/json.h"

/* Prints the facts that the command "show" has found (command_show.c) for people. Their texts come
 * from clients: control characters are replaced. */
void show_screen_print(const struct json *facts, bool has_colour);
