#pragma once

#include "process/commands/control.h"

/* The command "find": docker-registry-server-find(8). */
command_run command_find;
control_work command_find_work;
