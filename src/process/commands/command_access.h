#pragma once

#include "process/commands/command.h"

/* The commands access check USER VERB NAME[:TAG] and access list [USER]: they read users, groups
 * and rules as the registry's user, with a running server or without, and change nothing. Exit
 * codes beside COMMAND_DONE: COMMAND_FAILED is "denied", and any failure is COMMAND_USAGE. */
command_run command_access;
