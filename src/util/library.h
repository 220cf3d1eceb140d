#pragma once

#include <stddef.h>
#include "util/err.h"

/* A shared library that is loaded when it is needed first: the program starts faster without it,
 * and works where it isn't installed. */
struct library {
    const char *what;     /* "libcurl", in messages */
    const char *package;  /* of Debian */
    const char *files[2]; /* the first one that is there is taken */
    const struct library_function {
        const char *name;
        size_t at; /* in the table of functions: the offset of its pointer */
    } * functions;
    size_t functions_n;
};

#define LIBRARY_FUNCTION(table, name)       \
    {                                       \
#name, offsetof(struct table, name) \
    }

/* Loads it, for the life of the process, and fills the table, a structure of functions_n pointers
 * to functions. Returns 0; or -1 and ERR_UNSUPPORTED, the table is as it was. */
int library_load(const struct library *library, void *table, struct err *err);
