#pragma once

#include <libpq-fe.h>
#include "util/err.h"

/* libpq, which is loaded when the first store of PostgreSQL is opened. With the twenty libraries
 * that it needs, each start of the program would take some 15 ms longer, also for a registry that
 * has its database in its directory. */

/* 0, also if it is loaded already; -1. */
int pg_library_load(struct err *err);

/* Its functions are called by their names. */
#define PG_LIBRARY(f)                                                                         \
    f(PQclear) f(PQcmdStatus) f(PQcmdTuples) f(PQconnectdbParams) f(PQconsumeInput)           \
        f(PQenterPipelineMode) f(PQerrorMessage) f(PQfinish) f(PQflush) f(PQgetResult)        \
            f(PQgetisnull) f(PQgetlength) f(PQgetvalue) f(PQisBusy) f(PQnfields) f(PQntuples) \
                f(PQpipelineSync) f(PQresultErrorField) f(PQresultStatus) f(PQsendPrepare)    \
                    f(PQsendQueryParams) f(PQsendQueryPrepared) f(PQsetNoticeProcessor)       \
                        f(PQsetnonblocking) f(PQsocket) f(PQstatus)

#define PG_LIBRARY_FIELD(function) __typeof__(function) *function;
extern struct pg_library {
    PG_LIBRARY(PG_LIBRARY_FIELD)
} pg_library;

#ifndef PG_LIBRARY_ITSELF
#define PQclear pg_library.PQclear
#define PQcmdStatus pg_library.PQcmdStatus
#define PQcmdTuples pg_library.PQcmdTuples
#define PQconnectdbParams pg_library.PQconnectdbParams
#define PQconsumeInput pg_library.PQconsumeInput
#define PQenterPipelineMode pg_library.PQenterPipelineMode
#define PQerrorMessage pg_library.PQerrorMessage
#define PQfinish pg_library.PQfinish
#define PQflush pg_library.PQflush
#define PQgetResult pg_library.PQgetResult
#define PQgetisnull pg_library.PQgetisnull
#define PQgetlength pg_library.PQgetlength
#define PQgetvalue pg_library.PQgetvalue
#define PQisBusy pg_library.PQisBusy
#define PQnfields pg_library.PQnfields
#define PQntuples pg_library.PQntuples
#define PQpipelineSync pg_library.PQpipelineSync
#define PQresultErrorField pg_library.PQresultErrorField
#define PQresultStatus pg_library.PQresultStatus
#define PQsendPrepare pg_library.PQsendPrepare
#define PQsendQueryParams pg_library.PQsendQueryParams
#define PQsendQueryPrepared pg_library.PQsendQueryPrepared
#define PQsetNoticeProcessor pg_library.PQsetNoticeProcessor
#define PQsetnonblocking pg_library.PQsetnonblocking
#define PQsocket pg_library.PQsocket
#define PQstatus pg_library.PQstatus
#endif
