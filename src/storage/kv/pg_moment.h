#pragma once

#include "storage/kv/kv_filling.h"

/* The functions of kv_moment.h. */
int pg_moment_begin(struct kv *kv, struct err *err);
void pg_moment_end(struct kv *kv);
int pg_moment_hold_files(struct kv *kv, struct err *err);
int pg_moment_are_files_held(struct kv *kv, struct err *err);
