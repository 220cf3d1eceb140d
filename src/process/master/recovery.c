#include "process/master/recovery.h"
#include "domain/core/quota.h"
#include "domain/core/store.h"
#include "domain/metrics/metrics.h"
#include "domain/metrics/readiness.h"
#include "process/server/child.h"
#include "process/server/node.h"
#include "process/server/process_title.h"
#include "process/server/store_address.h"
#include "storage/files/blob_remote.h"
#include "storage/files/blob_file.h"
#include "storage/files/disk_space.h"
#include "storage/files/upload_dir.h"
#include "storage/kv/kv.h"
#include "storage/kv/kv_nodes.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "util/log.h"

/* The format that the database says it has: written into a fresh one, checked in another. */
static int
begin_store(const struct server *s, struct err *err)
{
    const struct options_list *quotas = &s->options->quotas;
    struct registry reg = {
        .kv = kv_open(store_address(s->options), tables, TABLE_COUNT, NULL, NULL, err),
        .dirfd = s->dir.fd,
        .blobs = &s->blobs,
        .read_only = s->read_only};
    struct kv_node self = s->node;
    struct err ignored;
    int r;

    if (reg.kv == NULL)
        return -1;
    if (kv_is_remote(reg.kv) && (node_resolve(s->options, self.address, err) != 0 ||
                                 kv_node_join(reg.kv, &self, err) != 0)) {
        kv_close(reg.kv);
        return -1;
    }
    r = store_begin(&reg, err);
    if (r == 0 && blob_store_is_outside(&s->blobs) && (!s->read_only || blob_remote_is(&s->blobs)))
        r = blob_file_prepare(&s->blobs, err);
    if (r == 0 && !s->read_only)
        r = quota_begin(&reg, quotas->v, quotas->n, err);
    if (r != 0 && kv_is_remote(reg.kv)) /* other servers of this database needn't wait for us */
        kv_node_leave(reg.kv, &self, true, &ignored);
    kv_close(reg.kv);
    return r;
}

static int
recover_store(const struct server *s, struct err *err)
{
    struct blob_store inside = blob_store_inside(s->dir.fd);
    int rc;

    if (store_address_check(s->options, s->dir.fd, err) != 0)
        return -1;
    rc = kv_recover(store_address(s->options), tables, TABLE_COUNT, err);
    if (s->read_only || rc < 0)
        return rc;
    /* Also beside --blobs: they tell the next start that a database was here (datadir.c). */
    return blob_file_prepare(&inside, err) == 0 && upload_dir_prepare(s->dir.fd, err) == 0 ? rc
                                                                                           : -1;
}

/* S3 or PostgreSQL doesn't answer. */
static bool
is_out_of_reach(const struct server *s, const struct err *err)
{
    return err->code == ERR_BUSY && (blob_remote_is(&s->blobs) || s->options->database != NULL);
}

int
recovery_main(const struct server *s, pid_t master, char message[ERR_MESSAGE_MAX])
{
    struct err err;
    int rc;

    child_begin(s, master, NULL, 0, NULL);
    process_title_set("recovery");
    disk_space_give(s->dir.fd);
    rc = recover_store(s, &err);
    readiness_note_loss(metrics_readiness(&s->metrics), rc == 1 ? err.message : "");
    if (rc >= 0 && begin_store(s, &err) == 0)
        return CHILD_DONE;
    memcpy(message, err.message, sizeof err.message);
    if (err.code == ERR_NO_SPACE)
        return CHILD_NO_SPACE;
    if (err.code == ERR_UNSUPPORTED)
        return CHILD_REFUSED;
    log_line(LOG_ERROR, "recovery failed", "why=%s", err.message);
    if (err.code == ERR_FAULT || err.code == ERR_UNSYNCED || is_out_of_reach(s, &err))
        return CHILD_FAULT;
    /* With a code of the library the cause may be another one, which may pass. */
    return err.code == ERR_CORRUPT && err.sys == 0 ? CHILD_DAMAGED : CHILD_FAILED;
}
