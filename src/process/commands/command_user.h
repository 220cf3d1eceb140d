#pragma once

#include "process/commands/command.h"

/* The commands user add NAME, passwd NAME, del NAME, list, verify NAME: they edit and read
 * auth/htpasswd, with a running server or without, as the registry's user. With a running server
 * they return when the change is effective there. */
command_run command_user;
