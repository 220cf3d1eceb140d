#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* hook: the hooks that wait, by repository and then by the event's number, so that the first one of
 * a repository is next; behind them the hooks that have failed, by number. Each has its event with
 * it, since that may be gone from the queue by then. The numbers are stored. */
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

/* Visits the hooks of a state, in order, behind `after` (its state, repository and seq; NULL: from
 * the first). fn is like kv_range_fn. */
int tbl_hook_each(struct txn *t, enum tbl_hook_state state, const struct tbl_hook *after,
                  tbl_hook_fn *fn, void *arg, struct err *err);
/* The first hook that waits in a repository behind that one (NULL: in any): 1, 0, -1. */
int tbl_hook_first_behind(struct txn *t, const char *repository, struct tbl_hook *h,
                          struct err *err);
