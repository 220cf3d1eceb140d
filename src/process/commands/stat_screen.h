#pragma once

#include <stdbool.h>
#include <stdio.h>
#include "process/commands/stat_numbers.h"
#include "util/json.h"

/* An argument for the process that prints: only the caller knows whether its terminal has colours
 * (TERM, NO_COLOR). */
#define STAT_SCREEN_COLOUR "colour"
const char *stat_screen_style(void);

/* The numbers for people. before: those of a moment earlier, for rates; NULL: no rates.
 * has_colour: of a terminal. */
void stat_screen_print(FILE *to, const struct stat_numbers *n, const struct stat_numbers *before,
                       bool has_colour);

/* The same as JSON, with all metrics. */
struct json *stat_screen_json(const struct stat_numbers *n);
