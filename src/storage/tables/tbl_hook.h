#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* hook: the hooks that wait, sorted by repository and the event's number, so the first one of a
 * repository is the next to run; then the hooks that have failed, sorted by number. Each has a copy
 * of its event, which may be deleted from the queue. The numbers are stored. */
enum tbl_hook_state {
    TBL_HOOK_WAITING = 1,
    TBL_HOOK_FAILED = 2,
};

struct tbl_hook {
    enum tbl_hook_state state;
    uint32_t seq;
    struct rec_hook record;
};

/* Finds it by the state, seq and repository in h, and fills the record. 1, 0, -1. */
int tbl_hook_get_for_update(struct txn *t, struct tbl_hook *h, struct err *err);
int tbl_hook_put(struct txn *t, const struct tbl_hook *h, struct err *err);
int tbl_hook_drop(struct txn *t, const struct tbl_hook *h, struct err *err);

typedef int tbl_hook_fn(const struct tbl_hook *h, void *arg, struct err *err);

/* Visits the hooks of a state, in order: those after the state, repository and seq in `after`
 * (NULL: all). fn is like kv_range_fn. */
int tbl_hook_each(struct txn *t, enum tbl_hook_state state, const struct tbl_hook *after,
                  tbl_hook_fn *fn, void *arg, struct err *err);
/* Finds the first waiting hook of repositories with greater names (NULL: of all). 1, 0, -1. */
int tbl_hook_first_behind(struct txn *t, const char *repository, struct tbl_hook *h,
                          struct err *err);
