#pragma once

#include "process/commands/control.h"

/* The command "show": docker-registry-server-show(8). */
command_run command_show;
control_work command_show_work;
