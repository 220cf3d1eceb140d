#pragma once

#include <stdbool.h>
#include "process/server/privileges.h"
#include "util/err.h"

/* Whose a data directory is. */

/* The user that a command becomes: the owner of the registry, if root runs the command without
 * --run-as; else as for the server. */
int datadir_plan(const char *name, const char *run_as, struct privileges *who, struct err *err);

/* True if only root can change the names in the directory. Root makes, opens and gives away nothing
 * by name in any other: its owner could exchange a name for a link in the meantime. */
bool datadir_plan_roots_alone(int fd);
