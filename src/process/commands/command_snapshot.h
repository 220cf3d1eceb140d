#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* "docker-registry-server snapshot", with --list. The keeper asks the master for the work, too. */
command_run command_snapshot;
/* Arguments: none, or --list. */
control_work command_snapshot_work;
