#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* docker-registry-server tag ls|history|undo|restore|rm: what an administrator does with tags. */
command_run command_tag;
control_work command_tag_work;
