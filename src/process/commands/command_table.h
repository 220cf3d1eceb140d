#pragma once

#include <stddef.h>
#include "process/commands/command.h"
#include "process/commands/control.h"

/* All commands but "serve", which is in main.c: the master serves some of these. */

struct command {
    const char *name;
    command_run *run;
    control_work *work; /* the part that needs the database (control.h); NULL: there is none */
    const char *help;   /* its lines of --help */
};

extern const struct command command_table[];
extern const size_t command_table_n;

/* NULL: there is no such command. */
const struct command *command_table_find(const char *name);
