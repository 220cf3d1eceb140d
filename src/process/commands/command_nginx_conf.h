#pragma once

#include "process/commands/command.h"

/* The command print-nginx-conf: prints the configuration that an administrator includes into an
 * existing nginx. Makes no directory, and needs none. */
command_run command_nginx_conf;
