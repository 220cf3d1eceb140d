#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* The command hooks: lists hooks that wait, run or failed; --retry ID, --drop ID; hooks test NAME
 * REPO:TAG. With a running server or without. */
command_run command_hooks;

/* The part that needs the database: hooks list|json, retry|drop ID, test HOOK NAME[:TAG]. */
control_work command_hooks_work;
