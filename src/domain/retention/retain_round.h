#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "domain/registry.h"
#include "domain/retention/retain_rules.h"
#include "util/err.h"

/* The keeper's rounds of retention, one each reg->retain_every_ms. How far a round came is in the
 * store, so the next keeper goes on there, and a restart of the server doesn't change when the next
 * round is due. */

/* The rules that are in force, as the master has checked them; without the file there are none. */
#define RETAIN_ROUND_RULES "run/retain"

/* No round begins so soon after the rules were changed, or after a start of the server; or
 * retain_every_ms, if that is less: time to correct a mistake in the rules. */
#define RETAIN_ROUND_PATIENCE_MS (10 * UINT64_C(60000))

struct retain_round; /* opaque */

/* reg: must have the hooks, if a pre-hook is to be asked, which holds up the caller. */
struct retain_round *retain_round_new(const struct registry *reg);
void retain_round_free(struct retain_round *r);

/* Works for a tenth of a second at most, plus one deletion. *again_ms: when to call it again,
 * clock_mono_ms(); 0: some seconds later is soon enough. */
int retain_round_step(struct retain_round *r, uint64_t *again_ms, struct err *err);
