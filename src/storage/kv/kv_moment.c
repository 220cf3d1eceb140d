#include "storage/kv/kv_moment.h"
#include "storage/kv/kv_filling.h"

int
kv_moment_begin(struct kv *kv, struct err *err)
{
    if (kv->is_running || kv->cursors > 0 || kv->is_moment)
        return err_set(err, ERR_SYSTEM, "a moment beside a transaction, a cursor or another one");
    if (kv->filling->moment_begin(kv, err) != 0)
        return -1;
    kv->is_moment = true;
    return 0;
}

void
kv_moment_end(struct kv *kv)
{
    if (kv->is_moment)
        kv->filling->moment_end(kv);
    kv->is_moment = false;
}

int
kv_moment_hold_files(struct kv *kv, struct err *err)
{
    return kv_is_remote(kv) ? kv->filling->hold_files(kv, err) : 0;
}

int
kv_moment_files_are_held(struct kv *kv, struct err *err)
{
    return kv_is_remote(kv) ? kv->filling->are_files_held(kv, err) : 0;
}
