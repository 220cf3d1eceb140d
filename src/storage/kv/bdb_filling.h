#pragma once

#include "storage/kv/kv_filling.h"

/* kv.h over Berkeley DB: the default, for one machine. */
extern const struct kv_filling bdb_filling;
