#pragma once

#include "domain/check/check.h"

/* Counts the blobs that wait to be pushed again, which are no findings. */
int check_waits_count(struct check *c, struct err *err);
