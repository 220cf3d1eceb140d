#ifndef PROCESS_COMMANDS_COMMAND_USER_H
#define PROCESS_COMMANDS_COMMAND_USER_H

#include "process/commands/command.h"

/* "user add NAME", "user del NAME", "user list": edits auth/htpasswd, whether a server runs or not,
 * as the user whose registry it is. If one runs, it returns when the change counts there. */
command_run command_user;

#endif
