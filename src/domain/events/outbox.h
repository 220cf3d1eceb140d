#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* The reader's end of the outbox: the events that were put into it (event.h), and marks of how far
 * they were processed. Each event has a number. The numbers rise, with gaps where a transaction was
 * undone. */

struct outbox_event {
    uint32_t seq;
    struct rec_event event;
};

/* The progress of the keeper. The keeper saves the marks now and then, and its successor continues
 * from there. In a new store both are 0. */
struct outbox_marks {
    uint32_t told;   /* all events up to this one were told: in the log, and to listeners */
    uint32_t queued; /* all events up to this one that have a hook have a row in table hook */
};

int outbox_marks_get(const struct registry *reg, struct outbox_marks *m, struct err *err);
/* _put writes them in the caller's transaction, _save in one of its own. */
int outbox_marks_put(struct txn *t, const struct outbox_marks *m, struct err *err);
int outbox_marks_save(const struct registry *reg, const struct outbox_marks *m, struct err *err);

/* The mark of the indexer: all events up to this one were turned into jobs (index_job.h). */
int outbox_indexed(const struct registry *reg, uint32_t *mark, struct err *err);
int outbox_indexed_save(const struct registry *reg, uint32_t mark, struct err *err);

/* Reads the first n events after number `after`, in order; *got is their number. Waits for events
 * whose transaction isn't over yet, so that none is skipped, and for the disk, so that a number
 * that was told is never given to another event (kv_relax). */
int outbox_read(const struct registry *reg, uint32_t after, struct outbox_event *v, size_t n,
                size_t *got, struct err *err);

/* The same without waiting for the disk: for a look at what happened. */
int outbox_peek(const struct registry *reg, uint32_t after, struct outbox_event *v, size_t n,
                size_t *got, struct err *err);

/* Can a listener that has seen all events up to `since` continue from there? 1: yes. 0: no, because
 * the events after that number were deleted, or the number was never given out. -1. *oldest is the
 * number of the oldest event that is kept, or of the next one when none is. */
int outbox_goes_on(const struct registry *reg, uint64_t since, uint32_t *oldest, struct err *err);
