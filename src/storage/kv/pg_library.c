#ifdef HAVE_LIBPQ

#define PG_LIBRARY_ITSELF
#include "storage/kv/pg_library.h"
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

/* All releases of PostgreSQL since 2005 have this version of the library. */
#define LIBRARY "libpq.so.5"

struct pg_library pg_library;

#define PG_LIBRARY_FUNCTION(function) {#function, offsetof(struct pg_library, function)},
static const struct {
    const char *name;
    size_t at;
} functions[] = {PG_LIBRARY(PG_LIBRARY_FUNCTION)};

int
pg_library_load(struct err *err)
{
    struct pg_library found;
    void *library, *function;

    if (pg_library.PQstatus != NULL)
        return 0;
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return err_set(err, ERR_UNSUPPORTED,
                       "PostgreSQL's library can't be loaded (%s): install the Debian package "
                       "libpq5",
                       dlerror());
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        function = dlsym(library, functions[i].name);
        if (function == NULL) {
            dlclose(library);
            return err_set(err, ERR_UNSUPPORTED,
                           LIBRARY " has no %s: version 14 or later is needed", functions[i].name);
        }
        memcpy((char *)&found + functions[i].at, &function, sizeof function);
    }
    pg_library = found;
    return 0;
}

#endif
