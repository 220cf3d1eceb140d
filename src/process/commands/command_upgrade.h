#pragma once

#include "process/commands/command.h"

/* The command "upgrade": docker-registry-server-upgrade(8). */
command_run command_upgrade;
