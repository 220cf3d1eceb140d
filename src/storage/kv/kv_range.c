#include "storage/kv/kv_range.h"

#include "util/banned.h"

int
kv_range_each(struct txn *t, unsigned table, struct bytes prefix, struct bytes from,
              kv_range_fn *fn, void *arg, struct err *err)
{
    struct kv_cursor *c;
    int found, rc = 0;

    if (kv_cursor_open(t, table, &c, err) != 0)
        return -1;
    found = kv_cursor_seek(c, from.n > 0 ? from : prefix, err);
    while (found == 1 && bytes_start_with(kv_cursor_key(c), prefix)) {
        rc = fn(kv_cursor_key(c), kv_cursor_val(c), arg, err);
        if (rc != 0)
            break;
        found = kv_cursor_next(c, err);
    }
    kv_cursor_close(c);
    return found < 0 || rc < 0 ? -1 : 0;
}

static int
see(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    (void)key;
    (void)val;
    (void)err;
    *(bool *)arg = true;
    return 1;
}

int
kv_range_any(struct txn *t, unsigned table, struct bytes prefix, struct err *err)
{
    bool any = false;

    if (kv_range_each(t, table, prefix, bytes_of("", 0), see, &any, err) != 0)
        return -1;
    return any ? 1 : 0;
}
