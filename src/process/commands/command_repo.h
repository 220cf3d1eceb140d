#pragma once

#include "process/commands/control.h"

/* The command "repo": docker-registry-server-repo(8). */
command_run command_repo;
control_work command_repo_work;
