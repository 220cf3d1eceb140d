#pragma once

#include "process/commands/command.h"

/* "user add NAME", "user del NAME", "user list": edits auth/htpasswd, whether a server runs or not,
 * as the user whose registry it is. If one runs, it returns when the change counts there. */
command_run command_user;
