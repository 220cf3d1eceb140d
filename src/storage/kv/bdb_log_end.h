#pragma once

#include "storage/kv/bdb.h"

/* The library takes the first record of the log that it can't read for the end of the log, as it is
 * after a power loss. A damaged record would thus take along all changes behind it without a word.
 * So the file <store>/checkpoint says how far the log was on the disk at the last checkpoint. */

#define BDB_LOG_END_CHECKPOINT "checkpoint"

/* The place of the last checkpoint. 0, or the library's number. */
int bdb_log_end_last(struct bdb *b, DB_LSN *out);

/* After a checkpoint: writes its place down, if it is another one. A failure leaves the place of an
 * earlier one, which is as true. */
void bdb_log_end_note(struct bdb *b);

/* That place. 1, 0 (none was noted yet, or the note is damaged, which the log says), -1. */
int bdb_log_end_noted(const char *dir, DB_LSN *out, struct err *err);

/* Before a recovery, which would cut the log: ERR_CORRUPT if it ends earlier. 0 or -1. */
int bdb_log_end_check(const char *dir, struct err *err);

/* After a stop: notes that the tables have everything up to the checkpoint at that place, and that
 * nothing came later. 0 or -1. */
int bdb_log_end_note_stop(const char *dir, const DB_LSN *at, struct err *err);
/* Is that noted? `checkpoint`: the place of the last one that was noted. */
bool bdb_log_end_stopped(const char *dir, const DB_LSN *checkpoint);
/* Before anything is changed again: removes that note. 0 or -1. */
int bdb_log_end_begin(const char *dir, struct err *err);
