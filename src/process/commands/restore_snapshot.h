#pragma once

#include "process/commands/command.h"

/* "docker-registry-server restore --snapshot [TIME]": puts the database of a data directory back,
 * without a server. The damaged one is set aside. */
enum command_exit restore_snapshot(struct options *o, struct err *err);
