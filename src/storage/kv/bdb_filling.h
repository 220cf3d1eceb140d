#ifndef STORAGE_KV_BDB_FILLING_H
#define STORAGE_KV_BDB_FILLING_H

#include "storage/kv/kv_filling.h"

/* kv.h over Berkeley DB: the default, for one machine. */
extern const struct kv_filling bdb_filling;

#endif
