#pragma once

#include "process/commands/control.h"

/* top: the screen of the command stat, again and again, as long as the server runs. */
command_run command_top;
control_work command_top_work;
