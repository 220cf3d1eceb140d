#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* docker-registry-server hooks: which wait, run and failed; --retry ID, --drop ID; hooks test NAME
 * REPO:TAG. With a running server, or without. */
command_run command_hooks;

/* Its work, where the store is: hooks list|json, retry|drop ID, test NAME REPO:TAG. */
control_work command_hooks_work;
