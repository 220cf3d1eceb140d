#pragma once

#include "process/commands/control.h"

/* The command "explain": docker-registry-server-explain(8). */
command_run command_explain;
control_work command_explain_work;
