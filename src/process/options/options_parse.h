#pragma once

#include "process/options/options.h"
#include "util/bytes.h"
#include "util/err.h"

/* The command: the first argument if that isn't an option, otherwise "serve". */
const char *options_parse_command(int argc, char **argv);

/* Parses the command line, then the file that --config names (the command line wins; values of
 * repeatable options add up), then fills in the rest. The command line takes only options that the
 * command knows; the file takes all options of the server. Passwords in argv are overwritten after
 * they were copied, so that ps does not show them. Arguments after --help or --version are ignored.
 * 0, or -1; err says what is wrong with which option, and what to do, and the caller exits with 2.
 * Free *o in both cases. */
int options_parse(struct options *o, int argc, char **argv, struct err *err);

/* The same, but the options that count after a restart only (struct options_row, restart) get the
 * values of options_change_keep. */
int options_parse_kept(struct options *o, int argc, char **argv, struct bytes kept,
                       struct err *err);
