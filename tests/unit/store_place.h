#pragma once

#include <stdbool.h>
#include "util/err.h"

/* Where the store of a test is: in db/ of its working directory; or, if REGISTRY_TEST_DATABASE is
 * the URL of a database, there. */
const char *store_place(void);
bool store_place_is_remote(void);
/* Empties a database. 0 or -1. */
int store_place_clear(struct err *err);

/* At the beginning of a test that looks at Berkeley DB itself. */
#define ONLY_WITH_BERKELEY_DB(why)                  \
    do {                                            \
        if (store_place_is_remote()) {              \
            fprintf(stderr, "not here: %s\n", why); \
            skip();                                 \
        }                                           \
    } while (0)

/* At the beginning of a test that looks at PostgreSQL itself. */
#define ONLY_WITH_POSTGRESQL()        \
    do {                              \
        if (!store_place_is_remote()) \
            skip();                   \
    } while (0)

/* Runs statements of SQL in a connection of their own. 0 or -1. */
int store_place_sql(const char *text, struct err *err);
