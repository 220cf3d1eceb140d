#pragma once

#include "process/server/server.h"

/* A forked child that creates or recovers the database, alone: nobody else has it open. Returns its
 * exit code; why it failed goes to message, in memory that the master shares. */
int recovery_main(const struct server *s, pid_t master, char message[ERR_MESSAGE_MAX]);
