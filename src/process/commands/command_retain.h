#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* "retain": deletes the tags that the rules of retention don't keep, or only lists them. */
command_run command_retain;
control_work command_retain_work;
