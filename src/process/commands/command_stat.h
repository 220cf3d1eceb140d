#pragma once

#include "process/commands/control.h"

/* stat: how the registry is, on one screen. */
command_run command_stat;
control_work command_stat_work;
