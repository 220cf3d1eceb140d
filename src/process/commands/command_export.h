#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* docker-registry-server export NAME[:TAG | @DIGEST] ... [-o PATH]: images as an OCI layout. With a
 * running server, or without. */
command_run command_export;

/* Its work, where the store is: the tar goes to stdout. */
control_work command_export_work;
