#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* "docker-registry-server fsck": docker-registry-server-fsck(8). */
enum command_exit command_fsck(struct options *o, struct err *err);
enum command_exit command_fsck_work(struct control *c, struct err *err);
