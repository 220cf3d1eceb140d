#pragma once

#include "process/commands/command.h"

/* "rotate-key": replaces the key of tokens. It works beside a server, and without one. */
command_run command_rotate_key;
