#pragma once

#include "process/commands/control.h"

/* The command "gc": docker-registry-server-gc(8). */
command_run command_gc;
control_work command_gc_work;
