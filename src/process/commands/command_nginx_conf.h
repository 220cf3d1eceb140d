#pragma once

#include "process/commands/command.h"

/* print-nginx-conf: what an administrator includes into an nginx of his own, to stdout. Makes no
 * directory, and needs none to be there. */
command_run command_nginx_conf;
