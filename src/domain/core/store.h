#pragma once

#include "domain/registry.h"
#include "util/err.h"

/* Writes the format into a fresh store, and refuses a store whose format this program doesn't know.
 * Called once, by the process that has just recovered the store. */
int store_begin(const struct registry *reg, struct err *err);

/* Can the store be read, and can uploads be taken over from nginx? 0, or -1 with the reason. */
int store_check(const struct registry *reg, struct err *err);
