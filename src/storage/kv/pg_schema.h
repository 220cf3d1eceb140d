#pragma once

#include "storage/kv/pg.h"

/* Makes the tables that are missing, under a lock: kv_recover. */
int pg_schema_make(const char *address, const struct kv_table *tables, size_t n, struct err *err);
/* Are all tables there, in the version of this program? 0 or -1. */
int pg_schema_check(struct pg *p, struct err *err);
