#ifdef HAVE_LIBPQ

#define PG_LIBRARY_ITSELF
#include "storage/kv/pg_library.h"
#include <assert.h>
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

/* All releases of PostgreSQL since 2005 have this version of the library. */
#define LIBRARY "libpq.so.5"

struct pg_library pg_library;

#define FUNCTION(name)                           \
    {                                            \
#name, offsetof(struct pg_library, name) \
    }
static const struct {
    const char *name;
    size_t at;
} functions[] = {
    FUNCTION(PQclear),
    FUNCTION(PQcmdStatus),
    FUNCTION(PQcmdTuples),
    FUNCTION(PQconnectdbParams),
    FUNCTION(PQconsumeInput),
    FUNCTION(PQcopyResult),
    FUNCTION(PQenterPipelineMode),
    FUNCTION(PQerrorMessage),
    FUNCTION(PQfinish),
    FUNCTION(PQflush),
    FUNCTION(PQgetResult),
    FUNCTION(PQgetisnull),
    FUNCTION(PQgetlength),
    FUNCTION(PQgetvalue),
    FUNCTION(PQisBusy),
    FUNCTION(PQnfields),
    FUNCTION(PQntuples),
    FUNCTION(PQpipelineSync),
    FUNCTION(PQresultErrorField),
    FUNCTION(PQresultStatus),
    FUNCTION(PQsendPrepare),
    FUNCTION(PQsendQueryParams),
    FUNCTION(PQsendQueryPrepared),
    FUNCTION(PQsetNoticeReceiver),
    FUNCTION(PQsetnonblocking),
    FUNCTION(PQsocket),
    FUNCTION(PQstatus),
};

int
pg_library_load(struct err *err)
{
    struct pg_library found;
    void *library, *function;

    static_assert(sizeof functions / sizeof functions[0] == sizeof found / sizeof function,
                  "each has its place");
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
