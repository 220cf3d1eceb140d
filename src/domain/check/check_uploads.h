#pragma once

#include "domain/check/check.h"

/* Looks for files in uploads/ without a row. An upload that has no bytes yet has no file, so rows
 * without one can't be judged: they expire. */
int check_uploads(struct check *c, struct err *err);
