#pragma once

#include "storage/kv/kv.h"

/* Fills kv_stats from what the library counts. */
int bdb_stats_get(struct kv *kv, struct kv_stats *out, struct err *err);
