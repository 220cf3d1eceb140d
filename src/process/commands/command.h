#ifndef PROCESS_COMMANDS_COMMAND_H
#define PROCESS_COMMANDS_COMMAND_H

#include "process/options/options.h"
#include "util/err.h"

/* A subcommand of the program; main.c has the table of them. */

enum command_exit {
    COMMAND_DONE = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2,
};

/* Runs to its end. The program exits with what it returns; unless that is COMMAND_DONE, err says
 * why. o->words are the arguments that are no options; it is the command that refuses wrong ones.
 */
typedef enum command_exit command_run(struct options *o, struct err *err);

#endif
