#include "domain/core/upload_expiry.h"
#include "domain/core/upload_node.h"
#include "domain/core/upload_row.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv.h"
#include "storage/kv/kv_nodes.h"
#include "storage/tables/tbl_upload.h"
#include "util/clock.h"
#include "util/log.h"

#define REFUSED_MS (60ull * 1000)

#define EXPIRE_BATCH 100

void
upload_expiry_hasten(const struct registry *reg, struct upload_dir *dir)
{
    uint64_t now = clock_wall_ms(), expiry = reg->upload_expiry_ms;
    struct err err;

    /* While the disk is full, all uploads expire early (upkeep.c). */
    if (expiry <= REFUSED_MS || expiry > now || disk_space_check(reg->dirfd, 0, &err) != 0)
        return;
    if (upload_dir_set_changed(dir, now - expiry + REFUSED_MS, &err) != 0)
        log_line(LOG_WARN, "an upload that was refused stays until it expires", "why=%s",
                 err.message);
}

void
upload_expiry_put_off(const struct registry *reg, const char *id)
{
    struct upload_dir dir;
    uint64_t changed;
    struct err err;

    if (!upload_row_is_id(id) || upload_dir_changed(reg->dirfd, id, &changed, &err) != 0 ||
        changed == 0 || changed + reg->upload_expiry_ms > clock_wall_ms() + REFUSED_MS)
        return;
    if (upload_dir_try_open(reg->dirfd, id, &dir, &err) != 1)
        return; /* another request is there */
    if (upload_dir_set_changed(&dir, clock_wall_ms(), &err) != 0)
        log_line(LOG_WARN, "an upload may expire early", "why=%s", err.message);
    upload_dir_close(&dir);
}

/* ---- the walk ---- */

struct expired_upload {
    char id[RECORD_UPLOAD_ID_MAX];
    uint64_t changed; /* its file; 0: it has none */
};

struct expiry_walk {
    const struct registry *reg;
    struct expired_upload found[EXPIRE_BATCH];
    size_t n;
    struct kv_node nodes[KV_NODES_MAX];
    size_t nodes_n;
};

/* Does the node live that has begun this upload? */
static bool
is_owner_alive(const struct expiry_walk *x, const char *id)
{
    for (size_t i = 0; i < x->nodes_n; i++)
        if (x->nodes[i].number == upload_node_of(id))
            return kv_node_is_alive(&x->nodes[i]);
    return false;
}

static int
add_expired(struct expiry_walk *x, const char *id, uint64_t changed)
{
    struct expired_upload *u = &x->found[x->n++];

    snprintf(u->id, sizeof u->id, "%s", id);
    u->changed = changed;
    return x->n == EXPIRE_BATCH;
}

static int
check_upload_file(const char *id, uint64_t changed, void *arg, struct err *err)
{
    struct expiry_walk *x = arg;
    struct rec_upload r;
    int rc;

    if (!upload_row_is_id(id)) /* lost+found, for example */
        return 0;
    rc = tbl_upload_get(kv_reads(x->reg->kv), id, &r, err);
    if (rc == 1 && changed + x->reg->upload_expiry_ms >= clock_wall_ms())
        return 0;
    return rc < 0 ? -1 : add_expired(x, id, changed);
}

/* An upload that has no bytes may have no file. */
static int
check_upload_row(const char *id, const struct rec_upload *r, void *arg, struct err *err)
{
    struct expiry_walk *x = arg;
    uint64_t changed;

    if (r->started + x->reg->upload_expiry_ms >= clock_wall_ms())
        return 0;
    if (upload_node_is_other(x->reg, id)) /* the bytes are there */
        return is_owner_alive(x, id) ? 0 : add_expired(x, id, 0);
    if (upload_dir_changed(x->reg->dirfd, id, &changed, err) != 0)
        return -1;
    return changed == 0 ? add_expired(x, id, 0) : 0;
}

/* A request may hold it, or may have come since it was found. */
static int
end_expired(const struct registry *reg, const struct expired_upload *u, struct err *err)
{
    struct upload_dir dir;
    uint64_t changed;
    int rc = upload_dir_try_open(reg->dirfd, u->id, &dir, err);

    if (rc != 1)
        return rc;
    rc = upload_dir_changed(reg->dirfd, u->id, &changed, err);
    if (rc == 0 && changed == u->changed)
        rc = upload_row_end(reg, u->id, err);
    upload_dir_close(&dir);
    return rc;
}

int
upload_expiry_run(const struct registry *reg, struct err *err)
{
    struct expiry_walk x = {.reg = reg};
    int rc = 0;

    if (reg->node != NULL)
        rc = kv_node_list(reg->kv, x.nodes, &x.nodes_n, err);
    if (rc == 0)
        rc = upload_dir_each(reg->dirfd, check_upload_file, &x, err);
    if (rc == 0 && x.n < EXPIRE_BATCH)
        rc = tbl_upload_each(kv_reads(reg->kv), check_upload_row, &x, err);
    if (rc != 0)
        return -1;
    for (size_t i = 0; i < x.n; i++)
        if (end_expired(reg, &x.found[i], err) != 0)
            rc = -1; /* the other uploads are ended nevertheless */
    return rc;
}
