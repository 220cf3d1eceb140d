#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* The command export NAME[:TAG | @DIGEST] ... [-o PATH]: writes images as an OCI layout, with a
 * running server or without. */
command_run command_export;

/* The part that needs the database: writes the tar to stdout. */
control_work command_export_work;
