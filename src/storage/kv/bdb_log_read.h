#pragma once

#include "storage/kv/bdb.h"

/* Reads the logs of a store that no process writes to, in an environment in the memory of this
 * process. Changes nothing. */

struct bdb_log_read {
    const char *dir;
    DB_ENV *env;
    DB_LOGC *cursor;
    DBT record;                 /* the last one that was read */
    DB_LSN at;                  /* its place; 0, 0: none was read */
    char said[ERR_MESSAGE_MAX]; /* what the library said first; "": nothing */
};

/* 0, or the library's number. bdb_log_read_close is called in either case. */
int bdb_log_read_open(struct bdb_log_read *r, const char *dir);
void bdb_log_read_close(struct bdb_log_read *r);

/* The next record, or the first one. 0; DB_NOTFOUND: there are no others; else the library's
 * number: the log can't be read behind r->at. */
int bdb_log_read_next(struct bdb_log_read *r);
/* The last record. 0, or the library's number. */
int bdb_log_read_last(struct bdb_log_read *r);

/* ---- the bytes of a log ---- */

#define BDB_LOG_READ_NAME_MAX 16
void bdb_log_read_name(char out[BDB_LOG_READ_NAME_MAX], uint32_t number);
/* Reads a whole log. 1, 0 (there is none), -1. */
int bdb_log_read_file(const char *dir, uint32_t number, struct buf *out, struct err *err);

/* The header of a record: where the one before it begins, and its own length, with the header. */
struct bdb_log_head {
    uint32_t before, length;
};

struct bdb_log_head bdb_log_read_head(struct bytes log, uint64_t at);
/* Where the record at r->at ends. */
uint64_t bdb_log_read_behind(struct bytes log, uint64_t at);
/* The library takes the first record with a wrong checksum for the end of the log, as after a power
 * loss. If others follow that one, which begins at `bad`, it isn't the end. */
bool bdb_log_read_goes_on(struct bytes log, uint64_t bad);
/* The length of the log without the zeros at its end. */
uint64_t bdb_log_read_used(struct bytes log);
