#ifndef DOMAIN_EVENTS_OUTBOX_H
#define DOMAIN_EVENTS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* The outbox from its other end: reading the events that others put into it (event.h), and how far
 * that got. Events have numbers that rise; some numbers are missing, of what was undone. */

struct outbox_event {
    uint32_t seq;
    struct rec_event event;
};

/* How far the keeper got; written now and then, so that a new one goes on there. */
struct outbox_marks {
    uint32_t told;   /* up to there all were told: in the log, to listeners */
    uint32_t queued; /* up to there each has its row in table hook, if it has a hook */
};

/* Within the transaction that begins a store: whoever reads begins with what comes from now on. */
int outbox_begin(struct txn *t, struct err *err);

int outbox_marks_get(const struct registry *reg, struct outbox_marks *m, struct err *err);
/* In a transaction that does more, or in one of its own. */
int outbox_marks_put(struct txn *t, const struct outbox_marks *m, struct err *err);
int outbox_marks_save(const struct registry *reg, const struct outbox_marks *m, struct err *err);

/* Up to there, images among the events have jobs to be indexed (index_job.h). */
int outbox_indexed(const struct registry *reg, uint32_t *mark, struct err *err);
int outbox_indexed_save(const struct registry *reg, uint32_t mark, struct err *err);

/* The first events behind `after`, at most n of them, in order; *got: how many. Waits for those
 * whose transaction isn't over yet, so none is ever passed over. */
int outbox_read(const struct registry *reg, uint32_t after, struct outbox_event *v, size_t n,
                size_t *got, struct err *err);

/* Can somebody who has seen all up to `since` go on from there? 1: yes. 0: what would come next was
 * dropped, or there never was such a number; *oldest is that of the oldest event that is kept (or
 * of the next one, when there is none). -1. */
int outbox_goes_on(const struct registry *reg, uint64_t since, uint32_t *oldest, struct err *err);

#endif
