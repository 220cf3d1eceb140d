#pragma once

#include "domain/events/hook.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

/* Pre-hooks are asked before a tag moves (HOOK_PRE_TAG) or something is deleted (HOOK_PRE_DELETE),
 * and may refuse. They are asked outside of transactions: the caller ensures that the change that
 * is made is the one that the hook was asked about. */

/* If a tag moves while the hook is asked about it, the hook is asked again: at most this many times
 * for one request. */
#define PREHOOK_JUDGEMENTS_MAX 3

/* Is there such a hook? 1, 0, or -1 and ERR_DENIED: it can't be run, which counts as a refusal.
 * Costs a stat when there is none. */
int prehook_find(const struct registry *reg, enum hook which, struct err *err);

/* Asks the hook that prehook_find has found. e describes the change (its type doesn't matter), and
 * document is the hook's stdin. Waits for at most reg->pre_hook_timeout_ms. When this returns, the
 * hook and all processes in its group are gone.
 * 0: the hook allows the change. -1: ERR_DENIED, with the last line of the hook's output as the
 * message, or with a message that it took too long or was killed; ERR_BUSY: the hook couldn't be
 * started, or this process was told to end. */
int prehook_ask(const struct registry *reg, enum hook which, const struct rec_event *e,
                struct bytes document, struct arena *arena, struct err *err);
