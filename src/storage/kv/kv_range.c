#include "storage/kv/kv_range.h"

int
kv_range_each(struct txn *t, unsigned table, const struct kv_range *range, kv_range_fn *fn,
              void *arg, struct err *err)
{
    struct kv_cursor *c;
    int found, rc = 0;

    if (kv_cursor_open(t, table, &c, err) != 0)
        return -1;
    found = kv_cursor_seek(c, range, err);
    while (found == 1) {
        rc = fn(kv_cursor_key(c), kv_cursor_val(c), arg, err);
        if (rc != 0)
            break;
        found = kv_cursor_next(c, err);
    }
    kv_cursor_close(c);
    return found < 0 || rc < 0 ? -1 : 0;
}

int
kv_range_any(struct txn *t, unsigned table, struct bytes prefix, struct err *err)
{
    struct kv_range range = {.prefix = prefix, .limit = 1};
    struct kv_cursor *c;
    int found;

    if (kv_cursor_open(t, table, &c, err) != 0)
        return -1;
    found = kv_cursor_seek(c, &range, err);
    kv_cursor_close(c);
    return found;
}
