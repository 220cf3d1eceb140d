#ifdef HAVE_LIBPQ

#define PG_LIBRARY_ITSELF
#include "storage/kv/pg_library.h"
#include <assert.h>
#include "util/library.h"

struct pg_library pg_library;

#define PQ_FUNCTION(name) LIBRARY_FUNCTION(pg_library, name)
static const struct library_function pq_functions[] = {
    PQ_FUNCTION(PQclear),
    PQ_FUNCTION(PQcmdStatus),
    PQ_FUNCTION(PQcmdTuples),
    PQ_FUNCTION(PQconnectdbParams),
    PQ_FUNCTION(PQconnectionNeedsPassword),
    PQ_FUNCTION(PQconsumeInput),
    PQ_FUNCTION(PQcopyResult),
    PQ_FUNCTION(PQenterPipelineMode),
    PQ_FUNCTION(PQerrorMessage),
    PQ_FUNCTION(PQfinish),
    PQ_FUNCTION(PQflush),
    PQ_FUNCTION(PQgetResult),
    PQ_FUNCTION(PQgetisnull),
    PQ_FUNCTION(PQgetlength),
    PQ_FUNCTION(PQgetvalue),
    PQ_FUNCTION(PQisBusy),
    PQ_FUNCTION(PQnfields),
    PQ_FUNCTION(PQntuples),
    PQ_FUNCTION(PQpipelineSync),
    PQ_FUNCTION(PQreset),
    PQ_FUNCTION(PQresultErrorField),
    PQ_FUNCTION(PQresultStatus),
    PQ_FUNCTION(PQsendPrepare),
    PQ_FUNCTION(PQsendQueryParams),
    PQ_FUNCTION(PQsendQueryPrepared),
    PQ_FUNCTION(PQsetErrorVerbosity),
    PQ_FUNCTION(PQsetNoticeReceiver),
    PQ_FUNCTION(PQsetnonblocking),
    PQ_FUNCTION(PQsocket),
    PQ_FUNCTION(PQstatus),
};
#define PQ_FUNCTIONS (sizeof pq_functions / sizeof pq_functions[0])

/* All releases of PostgreSQL since 2005 have this version of the library; those before 14 have no
 * pipelines. */
static const struct library pq = {
    .what = "PostgreSQL's library",
    .package = "libpq5",
    .files = {"libpq.so.5"},
    .functions = pq_functions,
    .functions_n = PQ_FUNCTIONS,
};

int
pg_library_load(struct err *err)
{
    static_assert(PQ_FUNCTIONS == sizeof pg_library / sizeof(void *), "each is loaded");
    return pg_library.PQstatus != NULL ? 0 : library_load(&pq, &pg_library, err);
}

#endif
