#pragma once

#include <stddef.h>
#include "util/digest.h"

/* A hash, like digest_state, that is computed by a thread of its own, for a process that does
 * something else with the same bytes meanwhile. The caller's thread computes it when there are few
 * bytes, and when no thread can be started (because of the limit on processes, for example). */
struct digest_thread;

struct digest_thread *digest_thread_begin(enum digest_algo algo);
/* Copies the bytes. Waits while the thread is two megabytes behind. */
void digest_thread_update(struct digest_thread *t, const void *p, size_t n);
/* Like digest_end. */
void digest_thread_end(struct digest_thread *t, struct digest *d);
