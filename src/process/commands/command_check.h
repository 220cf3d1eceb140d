#pragma once

#include "process/commands/command.h"

/* The command "check": docker-registry-server-check(8). */
command_run command_check;
