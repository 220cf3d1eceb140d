#include "domain/backup/restore.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/backup/backup_file.h"
#include "domain/backup/store_merge.h"
#include "domain/backup/store_target.h"
#include "domain/core/index_place.h"
#include "domain/core/store_blobs.h"
#include "storage/files/blob_file.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_meta.h"
#include "util/fdio.h"

struct restore {
    int root;
    const struct blob_store *blobs;
    struct index_store indexes;
    const struct restore_source *from;
    struct backup_counts *n;
    struct backup_info info;
};

static bool
restore_is_over(void *arg)
{
    const struct restore *r = arg;

    return r->from->is_over(r->from->arg);
}

static int
open_part(struct restore *r, const char *name, int *fd, struct err *err)
{
    int rc = r->from->open(r->from->arg, name, fd, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    return err_set(err, ERR_CORRUPT, "%.100s is not complete: %.120s is missing", r->from->what,
                   name);
}

static int
is_damaged(const struct restore *r, const char *name, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "%.100s is damaged: %.120s has other contents than it had",
                   r->from->what, name);
}

static int
read_backup_info(struct restore *r, struct err *err)
{
    struct buf text;
    int fd, rc = r->from->open(r->from->arg, BACKUP_INFO_NAME, &fd, err);

    if (rc == 0)
        return err_set(err, ERR_CORRUPT, "%.100s is no complete backup: it has no %s",
                       r->from->what, BACKUP_INFO_NAME);
    if (rc < 0)
        return -1;
    buf_init(&text, BACKUP_INFO_BYTES_MAX);
    rc = fdio_read_all(fd, BACKUP_INFO_NAME, &text, err);
    fdio_close(fd);
    if (rc == 0)
        rc = backup_info_read(&r->info, buf_bytes(&text), r->from->what, err);
    buf_free(&text);
    return rc;
}

/* ---- database, users, hooks ---- */

/* Removes what an earlier restore has left, except the lock, the mark, and blobs. */
static int
empty_database(int root, struct err *err)
{
    static const char *const kept[] = {".", "..", "lock", "restoring"};
    DIR *dir = fdio_opendir(root, "db", err);

    if (dir == NULL)
        return -1;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        bool keep = false;

        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            keep = keep || strcmp(e->d_name, kept[i]) == 0;
        if (!keep)
            unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
    return 0;
}

/* The directories above a file of hooks/. */
static int
make_file_directories(int root, const char *name, struct err *err)
{
    char path[1024];

    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof path, "%.*s", (int)(slash - name), name);
        if (fdio_mkdir(root, path, 0750, err) < 0)
            return -1;
    }
    return 0;
}

static int
restore_file(struct restore *r, const struct backup_file *f, struct err *err)
{
    struct digest found;
    uint64_t size;
    int from, to, rc;

    if (strcmp(f->name, "db/format") == 0)
        return 0;
    if (open_part(r, f->name, &from, err) != 0)
        return -1;
    rc = make_file_directories(r->root, f->name, err);
    unlinkat(r->root, f->name, 0);
    to = rc == 0 ? fdio_open_beneath(r->root, f->name, false, O_WRONLY | O_CREAT | O_EXCL, f->mode)
                 : -1;
    if (rc == 0 && to < 0)
        rc = err_errno(err, "cannot make %s", f->name);
    if (rc == 0 && fchmod(to, f->mode) != 0)
        rc = err_errno(err, "chmod %s", f->name);
    if (rc == 0)
        rc = backup_file_copy(to, from, DIGEST_SHA256, &found, &size, restore_is_over, r, f->name,
                              err);
    fdio_close(to);
    fdio_close(from);
    if (rc == 0 && (size != f->size || !digest_equal(&found, &f->digest)))
        rc = is_damaged(r, f->name, err);
    return rc;
}

static int
restore_files(struct restore *r, struct err *err)
{
    struct err why;
    int rc = empty_database(r->root, err);

    r->from->tell(r->from->arg, "restoring the database", r->n);
    for (size_t i = 0; rc == 0 && i < r->info.files_n; i++)
        rc = restore_file(r, &r->info.files[i], err);
    if (rc == 0 && kv_backup_verify("db", tables, TABLE_COUNT, &why) != 0)
        rc = err_set(err, ERR_CORRUPT, "%.100s is damaged: %.120s", r->from->what, why.message);
    return rc;
}

/* ---- blobs ---- */

struct blob_names {
    char file[sizeof "layers/" + BLOB_FILE_PATH_MAX];
};

static void
name_blob(struct blob_names *names, const struct digest *d, const struct rec_blob *b)
{
    char path[BLOB_FILE_PATH_MAX];

    blob_file_path(path, d, b->instance);
    snprintf(names->file, sizeof names->file, "layers/%s", path);
}

/* Before anything is copied: is each blob in the backup, as long as it should be? */
static int
check_blob(const struct digest *d, const struct rec_blob *b, void *arg, struct err *err)
{
    struct restore *r = arg;
    struct blob_names names;
    struct stat st;
    int fd, rc = 0;

    if (restore_is_over(r))
        return err_set(err, ERR_BUSY, "interrupted");
    r->n->blobs++;
    r->n->bytes += b->size;
    if (backup_info_is_damaged(&r->info, d)) {
        r->n->damaged++;
        return 0;
    }
    name_blob(&names, d, b);
    if (open_part(r, names.file, &fd, err) != 0)
        return -1;
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != b->size)
        rc = is_damaged(r, names.file, err);
    fdio_close(fd);
    return rc;
}

static int
copy_from_backup(struct restore *r, const struct digest *d, const struct rec_blob *b,
                 const char *name, struct err *err)
{
    struct digest found;
    uint64_t size;
    int from, rc = -1, to = blob_file_create(r->blobs, err);

    if (to < 0)
        return -1;
    if (open_part(r, name, &from, err) == 0) {
        rc = backup_file_copy(to, from, d->algo, &found, &size, restore_is_over, r, name, err);
        fdio_close(from);
        if (rc == 0 && (size != b->size || !digest_equal(&found, d)))
            rc = is_damaged(r, name, err);
        if (rc == 0)
            rc = blob_file_put_back(r->blobs, to, d, b->instance, err);
        r->n->new_blobs++;
        r->n->new_bytes += size;
    }
    fdio_close(to);
    return rc;
}

/* An index that isn't in the backup, or is damaged, is made again when it is needed. */
static int
restore_index(struct restore *r, const struct digest *d, struct err *err)
{
    char name[INDEX_FILE_PATH_MAX];
    struct digest ignored;
    uint64_t size;
    int from, to, rc;

    index_file_path(name, d);
    rc = r->from->open(r->from->arg, name, &from, err);
    if (rc != 1)
        return rc;
    rc = index_store_has(r->indexes, d, err);
    if (rc != 0) {
        fdio_close(from);
        return rc < 0 ? -1 : 0;
    }
    to = index_file_create(r->root, err);
    rc = to >= 0 ? backup_file_copy(to, from, DIGEST_SHA256, &ignored, &size, restore_is_over, r,
                                    name, err)
                 : -1;
    if (rc == 0)
        rc = index_store_put(r->indexes, to, d, err);
    fdio_close(to);
    fdio_close(from);
    return rc;
}

static int
restore_blob(const struct digest *d, const struct rec_blob *b, void *arg, struct err *err)
{
    struct restore *r = arg;
    struct blob_names names;
    uint64_t size;
    int rc = 0;

    name_blob(&names, d, b);
    /* A file gets its name when it is whole, so one that is there was restored before. */
    if (!backup_info_is_damaged(&r->info, d) &&
        (!blob_file_size(r->blobs, d, b->instance, &size) || size != b->size))
        rc = copy_from_backup(r, d, b, names.file, err);
    if (rc == 0)
        rc = restore_index(r, d, err);
    r->n->seen++;
    r->n->seen_bytes += b->size;
    r->from->tell(r->from->arg, "restoring blobs", r->n);
    return rc;
}

static int
restore_blobs(struct restore *r, struct err *err)
{
    const struct digest none = {.algo = DIGEST_NONE};
    struct kv *kv = kv_backup_open("db", tables, TABLE_COUNT, err);
    int rc;

    if (kv == NULL)
        return -1;
    rc = store_blobs_restore(&(struct registry){.kv = kv, .blobs = r->blobs}, err);
    if (rc == 0)
        rc = blob_file_prepare(r->blobs, err);
    if (rc == 0)
        rc = tbl_blob_each(kv_reads(kv), &none, check_blob, r, err);
    if (rc == 0)
        rc = tbl_blob_each(kv_reads(kv), &none, restore_blob, r, err);
    kv_close(kv);
    return rc;
}

/* ---- a remote database ---- */

static void
tell_restored_table(void *arg, const char *table, uint64_t records)
{
    const struct restore *r = arg;

    (void)table;
    (void)records;
    r->from->tell(r->from->arg, "writing the database", r->n);
}

static int
copy_records(struct restore *r, struct kv *from, struct kv *to, struct err *err)
{
    struct store_merge m = {.from = from,
                            .to = to,
                            .apart = META_COPYING,
                            .is_over = restore_is_over,
                            .tell = tell_restored_table,
                            .arg = r};

    if (store_merge_run(&m, err) != 0 || store_merge_verify(&m, err) != 0)
        return -1;
    return store_target_finish(to, err);
}

/* What is in db/ becomes the database at that address, and goes. */
static int
move_database(struct restore *r, const char *address, struct err *err)
{
    struct kv *to = store_target_open(address, r->info.moment_ms, false, err);
    struct kv *from = to != NULL ? kv_backup_open("db", tables, TABLE_COUNT, err) : NULL;
    int rc = from != NULL ? copy_records(r, from, to, err) : -1;

    kv_close(from);
    kv_close(to);
    return rc == 0 ? empty_database(r->root, err) : -1;
}

int
restore_make(const struct blob_store *blobs, const char *database,
             const struct restore_source *from, struct backup_counts *n, struct err *err)
{
    struct restore r = {.root = blobs->root,
                        .blobs = blobs,
                        .indexes = index_place_beside(blobs, database != NULL),
                        .from = from,
                        .n = n};
    int rc;

    *n = (struct backup_counts){0};
    rc = read_backup_info(&r, err);
    if (rc == 0)
        rc = restore_files(&r, err);
    if (rc == 0)
        rc = restore_blobs(&r, err);
    if (rc == 0 && database != NULL)
        rc = move_database(&r, database, err);
    if (rc == 0 && syncfs(blobs->root) != 0)
        rc = err_errno(err, "cannot make what was restored durable");
    if (rc == 0)
        rc = blob_store_sync(blobs, err);
    backup_info_free(&r.info);
    return rc;
}
