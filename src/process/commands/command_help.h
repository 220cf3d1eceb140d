#ifndef PROCESS_COMMANDS_COMMAND_HELP_H
#define PROCESS_COMMANDS_COMMAND_HELP_H

#include "process/commands/command.h"

/* "help [TOPIC]": shows a manual page, or lists the topics. */
command_run command_help;

#endif
