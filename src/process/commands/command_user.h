#pragma once

#include "process/commands/command.h"

/* The commands user add NAME, user del NAME, user list: they edit auth/htpasswd, with a running
 * server or without, as the registry's user. With a running server they return when the change is
 * effective there. */
command_run command_user;
