#ifndef PROCESS_OPTIONS_OPTIONS_TABLE_H
#define PROCESS_OPTIONS_OPTIONS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include "process/options/options.h"

/* The table of options: the parser, --help and the manual's test read it. */

enum options_kind {
    OPTIONS_FLAG,
    OPTIONS_TEXT,
    OPTIONS_ADDRESSES,
    OPTIONS_PORTS,
    OPTIONS_USERS,
    OPTIONS_SCRIPT,
    OPTIONS_COUNT,    /* 1..OPTIONS_COUNT_MAX */
    OPTIONS_TRIES,    /* 0..OPTIONS_COUNT_MAX */
    OPTIONS_DURATION, /* may be 0 */
    OPTIONS_PERIOD,   /* may not */
    OPTIONS_SIZE,
    OPTIONS_LIMIT,  /* 0: none */
    OPTIONS_NUMBER, /* 1..OPTIONS_NUMBER_MAX */
    OPTIONS_LEVEL,
    OPTIONS_NAME,
    OPTIONS_URL,
    OPTIONS_ORIGINS,
};

#define OPTIONS_NUMBER_MAX 1000000000

struct options_row {
    const char *name;
    char letter;     /* NUL: none */
    const char *arg; /* as --help shows it; NULL for a flag */
    const char *help;
    enum options_kind kind;
    bool repeatable;
    size_t at; /* of the member of struct options */
    bool command_line_only;
};

/* The command that has options of its own. */
#define OPTIONS_PRINT_NGINX_CONF "print-nginx-conf"

/* In the order of --help. */
#define OPTIONS_TABLE_MAX 128
extern const struct options_row options_table[];
extern const size_t options_table_n;

/* NULL: there is none. */
const struct options_row *options_table_by_name(const char *name, size_t n);
const struct options_row *options_table_by_letter(char letter);

#endif
