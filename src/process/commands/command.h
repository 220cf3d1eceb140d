#pragma once

#include "process/options/options.h"
#include "process/server/datadir.h"
#include "process/server/privileges.h"
#include "storage/tables/record.h"
#include "util/buf.h"
#include "util/bytes.h"
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

/* The user who typed the command, as the actor in events and histories: "command:ann". No user of
 * the registry has a name with a colon. */
#define COMMAND_ACTOR_MAX (RECORD_ACTOR_MAX + 1)
void command_actor(char out[COMMAND_ACTOR_MAX]);

/* Writes into the audit what this user did with a command that causes no events. Call it as the
 * server's user. If that can't be written, a notice says so, since the work is done. */
void command_remember(int dirfd, const char *who, const char *what, const char *about);

/* Prints a notice to stderr, because stdout has only what the command was asked for. */
void command_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints a text of strangers to stdout: of names in images, say. What is no UTF-8, and characters
 * that are not plain (util/utf8_plain.h), become question marks. */
void command_print_text(struct bytes text);

/* Prints a heading, in bold if the terminal has it. */
void command_print_heading(FILE *to, const char *text, bool has_colour);

/* Prints the text of j to stdout, and frees j. Characters that are not plain are written as
 * numbers, \u202e: that changes no value. */
void command_print(const char *before, struct json *j, const char *after);

/* Reads a file of the administrator's. 1 read, 0 there is none, -1; the message says what to do if
 * it can't be read. */
int command_read(const struct datadir *dir, const struct privileges *who, const char *name,
                 struct buf *out, struct err *err);
