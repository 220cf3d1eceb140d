#ifndef DOMAIN_EVENTS_PREHOOK_H
#define DOMAIN_EVENTS_PREHOOK_H

#include "domain/events/hook.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

/* Pre-hooks are asked before a tag moves (HOOK_PRE_TAG) or something is deleted (HOOK_PRE_DELETE),
 * and may refuse. Outside of any transaction: the caller sees to it that what was judged is what is
 * done. */

/* Where a tag moves again while it is judged, it is judged again: so often altogether. */
#define PREHOOK_JUDGEMENTS_MAX 3

/* Is there one? 1, 0; -1: it can't be run, so it refuses (ERR_DENIED). A stat where there is none.
 */
int prehook_find(const struct registry *reg, enum hook which, struct err *err);

/* Asks the one that prehook_find has found. e tells it what would happen (its type doesn't matter);
 * document is its stdin. Waits for at most reg->pre_hook_timeout_ms. When this returns, it and all
 * that it started in its group are gone, whatever it did.
 * 0: go on. -1: ERR_DENIED, and the message is the last line that it said; or that it took too
 * long, or was killed. ERR_BUSY: it wasn't judged, since we are told to end, or can't start it. */
int prehook_ask(const struct registry *reg, enum hook which, const struct rec_event *e,
                struct bytes document, struct arena *arena, struct err *err);

#endif
