#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* "docker-registry-server audit": who changed what. */
command_run command_audit;
/* Arguments: --since in milliseconds, --repo and --user ("" for all), and "json" or "text". */
control_work command_audit_work;
