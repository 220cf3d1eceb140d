#pragma once

#include "process/commands/command.h"

/* "docker-registry-server restore BACKUP --dir NEW". */
command_run command_restore;
