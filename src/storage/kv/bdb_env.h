#pragma once

#include "storage/kv/bdb.h"

/* A log file's bytes. */
#define BDB_ENV_LOG_FILE (16u << 20)

/* The name of a log: this, and its number. */
#define BDB_ENV_LOG_PREFIX "log."
#define BDB_ENV_LOG_DIGITS 10
/* The number of a log, from the name of its file; 0: it is no log. */
uint32_t bdb_env_log_number(const char *name);

/* No log file can be begun in that directory. */
bool bdb_env_disk_is_full(const char *dir);

/* The mode of the files of a store. */
#define BDB_ENV_FILE_MODE 0640

/* Opens the environment with all settings, and no table. more: further flags of the library's open.
 * 0, or the library's number. */
int bdb_env_open(struct bdb *b, uint32_t more);
/* Opens the tables for reading alone, without an environment. 0 or -1. */
int bdb_env_open_quiet(struct bdb *b, struct err *err);

uint32_t bdb_env_page_size(const struct kv_table *t);

/* Opens the environment with all settings, and all tables. create: runs recovery, and creates what
 * is missing. 0 or -1; err->sys is the library's number. */
int bdb_env_attach(struct bdb *b, bool create, struct err *err);
/* Closes what is open. 0, or the library's number for the first failure. */
int bdb_env_detach(struct bdb *b);
