#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* "docker-registry-server backup DIR", with --keep, and --list. */
command_run command_backup;
/* Arguments: none. Descriptor 0: the socket of backup_helper.h. */
control_work command_backup_work;
