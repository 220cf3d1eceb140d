#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* "docker-registry-server rebuild", with --into. */
command_run command_rebuild;
/* Arguments: the repository, or "". */
control_work command_rebuild_work;
