#pragma once

#include <libpq-fe.h>
#include "util/err.h"

/* libpq, which is loaded when the first store of PostgreSQL is opened. With the twenty libraries
 * that it needs, each start of the program would take some 15 ms longer, also for a registry that
 * has its database in its directory. */

/* 0, also if it is loaded already; -1. */
int pg_library_load(struct err *err);

/* Its functions, which are called by their names. */
extern struct pg_library {
    __typeof__(PQclear) *PQclear;
    __typeof__(PQcmdStatus) *PQcmdStatus;
    __typeof__(PQcmdTuples) *PQcmdTuples;
    __typeof__(PQconnectdbParams) *PQconnectdbParams;
    __typeof__(PQconnectionNeedsPassword) *PQconnectionNeedsPassword;
    __typeof__(PQconsumeInput) *PQconsumeInput;
    __typeof__(PQcopyResult) *PQcopyResult;
    __typeof__(PQenterPipelineMode) *PQenterPipelineMode;
    __typeof__(PQerrorMessage) *PQerrorMessage;
    __typeof__(PQfinish) *PQfinish;
    __typeof__(PQflush) *PQflush;
    __typeof__(PQgetResult) *PQgetResult;
    __typeof__(PQgetisnull) *PQgetisnull;
    __typeof__(PQgetlength) *PQgetlength;
    __typeof__(PQgetvalue) *PQgetvalue;
    __typeof__(PQisBusy) *PQisBusy;
    __typeof__(PQnfields) *PQnfields;
    __typeof__(PQntuples) *PQntuples;
    __typeof__(PQpipelineSync) *PQpipelineSync;
    __typeof__(PQreset) *PQreset;
    __typeof__(PQresultErrorField) *PQresultErrorField;
    __typeof__(PQresultStatus) *PQresultStatus;
    __typeof__(PQsendPrepare) *PQsendPrepare;
    __typeof__(PQsendQueryParams) *PQsendQueryParams;
    __typeof__(PQsendQueryPrepared) *PQsendQueryPrepared;
    __typeof__(PQsetErrorVerbosity) *PQsetErrorVerbosity;
    __typeof__(PQsetNoticeReceiver) *PQsetNoticeReceiver;
    __typeof__(PQsetnonblocking) *PQsetnonblocking;
    __typeof__(PQsocket) *PQsocket;
    __typeof__(PQstatus) *PQstatus;
} pg_library;

#ifndef PG_LIBRARY_ITSELF
#define PQclear pg_library.PQclear
#define PQcmdStatus pg_library.PQcmdStatus
#define PQcmdTuples pg_library.PQcmdTuples
#define PQconnectdbParams pg_library.PQconnectdbParams
#define PQconnectionNeedsPassword pg_library.PQconnectionNeedsPassword
#define PQconsumeInput pg_library.PQconsumeInput
#define PQcopyResult pg_library.PQcopyResult
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
#define PQreset pg_library.PQreset
#define PQresultErrorField pg_library.PQresultErrorField
#define PQresultStatus pg_library.PQresultStatus
#define PQsendPrepare pg_library.PQsendPrepare
#define PQsendQueryParams pg_library.PQsendQueryParams
#define PQsendQueryPrepared pg_library.PQsendQueryPrepared
#define PQsetErrorVerbosity pg_library.PQsetErrorVerbosity
#define PQsetNoticeReceiver pg_library.PQsetNoticeReceiver
#define PQsetnonblocking pg_library.PQsetnonblocking
#define PQsocket pg_library.PQsocket
#define PQstatus pg_library.PQstatus
#endif
