#pragma once

#include "process/options/options.h"
#include "util/err.h"

/* Where the store is, as kv_open.h has it: the URL of --database, or db/ of the data directory. */
const char *store_address(const struct options *o);

/* The metadata in db/ was moved elsewhere, and is out of date. */
#define STORE_ADDRESS_MOVED "db/moved"

/* Before the store is recovered, which makes what is missing: the metadata that the data directory
 * dirfd has, or had, is where the options say. ERR_UNSUPPORTED; 0 or -1. */
int store_address_check(const struct options *o, int dirfd, struct err *err);
