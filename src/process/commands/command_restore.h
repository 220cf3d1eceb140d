#pragma once

#include "process/commands/command.h"

/* "docker-registry-server restore BACKUP --dir NEW", and --snapshot (restore_snapshot.h). */
command_run command_restore;
