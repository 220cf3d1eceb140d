#ifndef PROCESS_COMMANDS_CONTROL_COMMANDS_H
#define PROCESS_COMMANDS_CONTROL_COMMANDS_H

#include "process/master/control.h"

/* The commands that need the database, by their names; NULL. */
control_fn *control_commands_find(const char *name);

#endif
