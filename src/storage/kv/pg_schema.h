#pragma once

#include "storage/kv/pg.h"

/* Makes the tables that are missing, under a lock, and looks at each of them: kv_recover. */
int pg_schema_make(const char *address, const struct kv_table *tables, size_t n, struct err *err);
/* For each new connection: are the tables of the version of this program? 0 or -1. */
int pg_schema_check(struct pg *p, struct err *err);
