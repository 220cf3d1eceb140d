#pragma once

#include "process/options/options.h"
#include "process/server/datadir.h"
#include "process/server/privileges.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/json.h"

/* A subcommand of the program: a row in command_table.c, and a file of its own. */

enum command_exit {
    COMMAND_DONE = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2,
};

/* Runs the command in the caller's process, which exits with the result; unless that is
 * COMMAND_DONE, err says why. o->words are the arguments that are no options; the command checks
 * them. */
typedef enum command_exit command_run(struct options *o, struct err *err);

/* Prints a notice to stderr, because stdout has only what the command was asked for. */
void command_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints the text of j to stdout, and frees j. */
void command_print(const char *before, struct json *j, const char *after);

/* Reads a file of the administrator's. 1 read, 0 there is none, -1; the message says what to do if
 * it can't be read. */
int command_read(const struct datadir *dir, const struct privileges *who, const char *name,
                 struct buf *out, struct err *err);
