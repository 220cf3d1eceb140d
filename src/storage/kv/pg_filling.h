#pragma once

#include "storage/kv/kv_filling.h"

/* kv.h over PostgreSQL, if configure has found its library. */
extern const struct kv_filling pg_filling;
