#ifndef DOMAIN_CORE_STORE_H
#define DOMAIN_CORE_STORE_H

#include "domain/registry.h"
#include "util/err.h"

/* Writes into a fresh store what format it has; refuses one that is newer than this program knows.
 * Called once, by whoever has just recovered the store. */
int store_begin(const struct registry *reg, struct err *err);

/* Can the store be read, and can uploads be taken over from nginx? 0, or -1 with the reason. */
int store_check(const struct registry *reg, struct err *err);

#endif
