#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "process/options/options.h"

/* The table of options. The parser, the defaults, --help and the test of the manuals follow from
 * it. */

/* From OPTIONS_PORT on an option can be repeated: its member is a struct options_list. */
enum options_kind {
    OPTIONS_FLAG,   /* bool */
    OPTIONS_TEXT,   /* char *, as the next three */
    OPTIONS_SCRIPT, /* of a hook */
    OPTIONS_NAME,   /* part of a name in nginx's configuration */
    OPTIONS_URL,
    OPTIONS_LEVEL,  /* enum log_level */
    OPTIONS_FORMAT, /* bool: JSON instead of text */
    OPTIONS_LOG,    /* where the log goes */
    OPTIONS_NUMBER, /* uint64_t from row->least to row->most, as the next three */
    OPTIONS_LIMIT,  /* 0: no limit */
    OPTIONS_SIZE,   /* bytes; 0 means no limit unless row->least excludes it */
    OPTIONS_TIME,   /* milliseconds; row->most 0: no limit */
    OPTIONS_PORT,
    OPTIONS_ADDRESS,
    OPTIONS_NETWORK,
    OPTIONS_USER,
    OPTIONS_ORIGIN,
    OPTIONS_TAGS, /* a pattern of tags */
    OPTIONS_QUOTA,
};

struct options_row {
    const char *name;
    char letter;          /* NUL: none */
    const char *arg;      /* the value in --help and messages; NULL for a flag */
    const char *def;      /* the default, as the option's value would be given; NULL: none */
    const char *help;     /* NULL: has no line of its own */
    const char *commands; /* names of those that know the option, with blanks between them */
    enum options_kind kind;
    size_t at; /* offset in struct options */
    uint64_t least, most;
    bool restart;           /* SIGHUP doesn't change it; its kind is OPTIONS_TEXT, or a list */
    bool command_line_only; /* of an option of "serve"; those of other commands are anyway */
};

/* A default that depends on the machine; ", at least N" may follow. */
#define OPTIONS_TABLE_PROCESSORS "the number of processors"

/* In the order of --help. */
#define OPTIONS_TABLE_MAX 128
extern const struct options_row options_table[];
extern const size_t options_table_n;

/* NULL: there is none. name: n bytes. If commands have different options of that name, it is the
 * one of this command. */
const struct options_row *options_table_by_name(const char *name, size_t n, const char *command);
/* The same by its letter. */
const struct options_row *options_table_by_letter(char letter, const char *command);

bool options_table_knows(const struct options_row *row, const char *command);
bool options_table_in_file(const struct options_row *row);
