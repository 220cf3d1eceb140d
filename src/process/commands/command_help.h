#pragma once

#include "process/commands/command.h"

/* "help [TOPIC]": shows a manual page, or lists the topics. */
command_run command_help;
