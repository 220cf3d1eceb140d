#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* "docker-registry-server migrate --to URL|DIRECTORY", with --blobs and --wait. */
command_run command_migrate;
/* Arguments: the place, the directory of --blobs or "", the milliseconds of --wait, the actor, and
 * the variables of the caller's environment that are libpq's, as NAME=VALUE. */
control_work command_migrate_work;
