#ifndef UTIL_DIGEST_THREAD_H
#define UTIL_DIGEST_THREAD_H

#include <stddef.h>
#include "util/digest.h"

/* A hash in the making, like digest_state, whose work is done by a thread of its own: for a process
 * that has something else to do with the bytes meanwhile. Without a thread (the limit on processes,
 * say) the caller's does it. */
struct digest_thread;

/* NULL as digest_begin. */
struct digest_thread *digest_thread_begin(enum digest_algo algo);
/* Copies the bytes; waits when the thread is two megabytes behind. */
void digest_thread_update(struct digest_thread *t, const void *p, size_t n);
/* As digest_end. */
void digest_thread_end(struct digest_thread *t, struct digest *d);

#endif
