#include "domain/backup/migrate.h"
#include <errno.h>
#include <unistd.h>
#include "domain/backup/store_copy.h"
#include "domain/backup/store_merge.h"
#include "domain/backup/store_target.h"
#include "domain/core/index_place.h"
#include "domain/core/store_blobs.h"
#include "storage/files/blob_file.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv_moment.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_meta.h"
#include "util/fdio.h"

#define COPY "snapshots/migrate"
#define URL_MAX 4096

/* ---- the number of the registry ---- */

/* Nothing goes to the blobs of another registry. */
static int
claim_blobs(const struct migrate *m, uint64_t number, struct err *err)
{
    uint64_t found;
    int rc = blob_store_read_id(m->blobs, &found, err);

    if (rc == 1 && found != number)
        return err_set(err, ERR_UNSUPPORTED,
                       "--blobs %.150s has the blobs of another registry: its registry-id is "
                       "%016llx, and that of this registry is %016llx",
                       m->blobs->name, (unsigned long long)found, (unsigned long long)number);
    if (rc == 0)
        rc = blob_store_refuse_strangers(m->blobs, err);
    if (rc < 0 || blob_file_prepare(m->blobs, err) != 0)
        return -1;
    return rc == 1 ? 0 : blob_store_write_id(m->blobs, number, err);
}

/* ---- blobs ---- */

static bool
is_migrate_over(void *arg)
{
    const struct migrate *m = arg;

    return m->is_over(m->arg);
}

static void
tell_copied_blobs(void *arg, const struct blob_copy *c)
{
    const struct migrate *m = arg;

    m->tell(m->arg, "blobs", c->blobs);
}

static void
complain_of_copied(void *arg, const char *text)
{
    const struct migrate *m = arg;

    m->complain(m->arg, text);
}

static int
copy_blobs(struct migrate *m, struct kv *kv, bool is_changing, struct err *err)
{
    const struct blob_store *from = m->reg->blobs, *to = m->blobs != NULL ? m->blobs : from;
    bool is_back = kv_is_remote(m->reg->kv);

    m->copied = (struct blob_copy){.kv = kv,
                                   .from = from,
                                   .to = to,
                                   .indexes_from = index_place_beside(from, is_back),
                                   .indexes_to = index_place_beside(to, !is_back),
                                   .is_changing = is_changing,
                                   .is_over = is_migrate_over,
                                   .tell = tell_copied_blobs,
                                   .complain = complain_of_copied,
                                   .arg = m};
    if (blob_copy_run(&m->copied, err) != 0)
        return -1;
    m->copied_blobs += m->copied.new_blobs;
    m->copied_bytes += m->copied.new_bytes;
    return 0;
}

/* ---- metadata ---- */

static void
tell_copied_records(void *arg, const char *table, uint64_t records)
{
    const struct migrate *m = arg;

    m->tell(m->arg, table, records);
}

static int
copy_metadata(struct migrate *m, struct kv *from, struct kv *to, struct err *err)
{
    struct store_merge g = {.from = from,
                            .to = to,
                            .apart = META_COPYING,
                            .is_over = is_migrate_over,
                            .tell = tell_copied_records,
                            .arg = m};

    if (store_merge_run(&g, err) != 0)
        return -1;
    m->records = g.records;
    m->changes = g.changes;
    return store_merge_verify(&g, err);
}

static int
refuse_damaged_blobs(const struct migrate *m, struct err *err)
{
    if (m->copied.damaged == 0)
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "%llu blob%s missing or damaged, and must not be missing in the new place: run "
                   "fsck --repair%s, and repeat this",
                   (unsigned long long)m->copied.damaged, m->copied.damaged == 1 ? " is" : "s are",
                   m->blobs == NULL && blob_store_is_outside(m->reg->blobs)
                       ? ", or copy what the server had elsewhere to --blobs"
                       : "");
}

/* Both of one moment, while no file of a blob is removed. */
static int
copy_moment(struct migrate *m, struct kv *from, struct kv *to, struct err *err)
{
    if (copy_blobs(m, from, false, err) != 0 || copy_metadata(m, from, to, err) != 0)
        return -1;
    return refuse_damaged_blobs(m, err);
}

/* ---- db/moved ---- */

static int
write_moved(const struct migrate *m, struct err *err)
{
    char text[URL_MAX];
    int n = snprintf(text, sizeof text, "%s\n", m->database);

    if (n < 0 || n >= (int)sizeof text)
        return err_set(err, ERR_BAD_REQUEST, "the URL of the database is too long");
    return fdio_replace_file(m->reg->dirfd, m->moved, 0600, bytes_of(text, (size_t)n), err);
}

static int
remove_moved(int dirfd, const char *moved, struct err *err)
{
    if (unlinkat(dirfd, moved, 0) != 0 && errno != ENOENT)
        return err_errno(err, "cannot remove %s", moved);
    return fdio_fsync_dir(dirfd, "db", err);
}

/* Does the file name this database? 1, 0, -1. */
static int
is_moved_to(int dirfd, const char *moved, const char *database, struct err *err)
{
    struct buf text;
    int rc;

    buf_init(&text, URL_MAX);
    rc = fdio_read_file(dirfd, moved, &text, err);
    if (rc == 1) {
        const char *url = buf_text(&text);
        size_t n = strcspn(url, "\n");

        rc = n == strlen(database) && strncmp(url, database, n) == 0;
    }
    buf_free(&text);
    return rc;
}

/* ---- to a remote database ---- */

static int
copy_beside_server(struct migrate *m, struct kv *to, struct err *err)
{
    uint64_t moment;
    struct err ignored;
    struct kv *from = NULL;
    int rc = -1;

    m->tell(m->arg, "copying the database", 0);
    if (store_copy_make(m->reg, COPY, &moment, is_migrate_over, m, err) == 0)
        from = kv_backup_open(COPY, tables, TABLE_COUNT, err);
    if (from != NULL)
        rc = copy_moment(m, from, to, err);
    kv_close(from);
    fdio_remove_tree(m->reg->dirfd, COPY, &ignored);
    return rc;
}

/* Blobs belong to the new database, and to no other, before a server starts with it: those that
 * stay, or else those that were copied. */
static int
number_blobs(const struct migrate *m, uint64_t number, struct kv *to, struct err *err)
{
    uint64_t found;
    int rc;

    if (m->blobs != NULL)
        return store_blobs_are_at(to, number, err);
    rc = blob_store_read_id(m->reg->blobs, &found, err);
    return rc == 0 ? blob_store_write_id(m->reg->blobs, number, err) : rc < 0 ? -1 : 0;
}

/* db/moved comes first: at no moment a server could start with either of the two. */
static int
move_out(struct migrate *m, uint64_t number, struct kv *to, struct err *err)
{
    if (!m->is_last)
        return copy_beside_server(m, to, err);
    if (copy_moment(m, m->reg->kv, to, err) != 0 || number_blobs(m, number, to, err) != 0 ||
        write_moved(m, err) != 0)
        return -1;
    return store_target_finish(to, err);
}

/* ---- back ---- */

/* While others write. The lock of the files ends with the connection. */
static int
copy_remote_moment(struct migrate *m, struct kv *to, struct err *err)
{
    struct kv *from = m->reg->kv;
    int rc = kv_moment_hold_files(from, err) == 0 ? kv_moment_begin(from, err) : -1;

    if (rc != 0)
        return -1;
    rc = copy_moment(m, from, to, err);
    kv_moment_end(from);
    if (rc == 0 && (rc = kv_moment_files_are_held(from, err)) >= 0)
        rc = rc == 1 ? 0
                     : err_set(err, ERR_BUSY,
                               "the connection to the database was lost, and blobs may be "
                               "missing: repeat this");
    return rc;
}

static int
finish_embedded(struct migrate *m, struct kv *to, struct err *err)
{
    if (store_target_finish(to, err) != 0 || kv_checkpoint(to, 0, 0, err) != 0)
        return -1;
    return remove_moved(m->reg->dirfd, m->moved, err);
}

/* The mark in the old database comes first, so that no server on any machine starts with it from
 * then on. */
static int
move_back_at_rest(struct migrate *m, uint64_t number, struct kv *to, struct err *err)
{
    struct err ignored;

    if (store_target_mark(m->reg->kv, number, err) != 0)
        return -1;
    if (m->is_alone(m->arg, err) == 0 && copy_moment(m, m->reg->kv, to, err) == 0)
        return finish_embedded(m, to, err);
    (void)store_target_finish(m->reg->kv, &ignored);
    return -1;
}

/* ---- both ways ---- */

static int
move_all(struct migrate *m, uint64_t number, struct kv *to, struct err *err)
{
    if (!kv_is_remote(m->reg->kv))
        return move_out(m, number, to, err);
    return m->is_last ? move_back_at_rest(m, number, to, err) : copy_remote_moment(m, to, err);
}

static int
move_to(struct migrate *m, uint64_t number, struct kv *to, struct err *err)
{
    int lock, rc;

    if (m->blobs != NULL && !m->is_last && copy_blobs(m, m->reg->kv, true, err) != 0)
        return -1;
    lock = backup_lock_take(m->reg->dirfd, &m->wait, err);
    if (lock < 0)
        return -1;
    rc = move_all(m, number, to, err);
    fdio_close(lock);
    return rc;
}

/* What db/ may have is out of date before anything is written there. */
static struct kv *
open_migrate_target(struct migrate *m, uint64_t number, struct err *err)
{
    struct kv *to;

    if (!kv_is_remote(m->reg->kv))
        return store_target_open(m->database, number, false, err);
    if (write_moved(m, err) != 0)
        return NULL;
    to = store_target_open(MIGRATE_EMBEDDED, number, true, err);
    if (to != NULL)
        kv_keep_room(to);
    return to;
}

int
migrate_run(struct migrate *m, struct err *err)
{
    uint64_t number;
    struct kv *to;
    int rc;

    if (store_blobs_choose(m->reg, &number, err) != 0)
        return -1;
    to = open_migrate_target(m, number, err);
    if (to == NULL)
        return -1;
    rc = m->blobs != NULL ? claim_blobs(m, number, err) : 0;
    if (rc == 0)
        rc = move_to(m, number, to, err);
    kv_close(to);
    return rc;
}

int
migrate_resume(int dirfd, const char *moved, const char *database, bool is_back, struct err *err)
{
    struct kv *kv;
    int rc = is_moved_to(dirfd, moved, database, err);

    if (rc != 1)
        return rc;
    kv = kv_open(database, tables, TABLE_COUNT, NULL, NULL, err);
    if (kv == NULL)
        return -1;
    rc = store_target_is_marked(kv, err);
    if (rc == 1)
        rc = is_back ? store_target_finish(kv, err) : remove_moved(dirfd, moved, err);
    kv_close(kv);
    return rc;
}
