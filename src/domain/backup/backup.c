#include "domain/backup/backup.h"
#include "domain/core/index_place.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "domain/backup/backup_file.h"
#include "domain/backup/store_copy.h"
#include "storage/files/backup_lock.h"
#include "storage/files/blob_file.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv_moment.h"
#include "storage/kv/kv_open.h"
#include "storage/layers/index_file.h"
#include "storage/tables/tbl_blob.h"
#include "util/fdio.h"
#include "util/mem.h"

#define COPY "snapshots/backup"
#define FORMAT_FILE "db/format"
#define SECRET_MODE 0600
#define HOOKS_DEPTH_MAX 8

struct backup {
    const struct registry *reg;
    const struct backup_place *to;
    struct backup_counts *n;
    struct backup_info info;
};

static void
tell_progress(struct backup *b, const char *what)
{
    b->to->tell(b->to->arg, what, b->n);
}

static bool
backup_is_over(void *arg)
{
    const struct backup *b = arg;

    return b->to->is_over(b->to->arg);
}

/* ---- blobs ---- */

static int
count_blob(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    struct backup *b = arg;

    (void)d;
    (void)err;
    b->n->blobs++;
    b->n->bytes += r->size;
    return 0;
}

/* The backup goes on: without it, one damaged blob would keep all others from being saved. */
static int
note_damaged(struct backup *b, const struct digest *d, const char *why, struct err *err)
{
    char digest[DIGEST_TEXT_MAX], text[ERR_MESSAGE_MAX + DIGEST_TEXT_MAX];

    if (b->info.damaged_n == BACKUP_INFO_DAMAGED_MAX)
        return err_set(err, ERR_CORRUPT, "more than %d blobs are damaged: see fsck",
                       BACKUP_INFO_DAMAGED_MAX);
    digest_text(digest, d);
    snprintf(text, sizeof text, "%s is damaged in the registry, and not in the backup: %s", digest,
             why);
    b->to->complain(b->to->arg, text);
    b->info.damaged =
        mem_grow(b->info.damaged, &b->info.damaged_room, b->info.damaged_n + 1, sizeof *d);
    b->info.damaged[b->info.damaged_n++] = *d;
    b->n->damaged++;
    return 0;
}

static int
copy_blob(struct backup *b, const struct digest *d, const struct rec_blob *r, const char *name,
          struct err *err)
{
    struct digest found;
    uint64_t size;
    int to, rc, from = blob_file_open(b->reg->blobs, d, r->instance, err);

    if (from < 0)
        return err->sys == ENOENT ? note_damaged(b, d, "its file is missing", err) : -1;
    rc = b->to->create(b->to->arg, name, 0440, &to, err);
    if (rc == 0) {
        rc = backup_file_copy(to, from, d->algo, &found, &size, backup_is_over, b, name, err);
        fdio_close(to);
    }
    fdio_close(from);
    if (rc != 0)
        return rc == BACKUP_FILE_UNREAD && err->sys == EIO
                   ? note_damaged(b, d, "its file can't be read", err)
                   : -1;
    if (size != r->size || !digest_equal(&found, d))
        return note_damaged(b, d, "its file has other contents", err);
    if (b->to->keep(b->to->arg, err) != 0)
        return -1;
    b->n->new_blobs++;
    b->n->new_bytes += size;
    return 0;
}

/* The index could be made again from the layer, but takes longer to make than to copy. */
static int
save_index(struct backup *b, const struct digest *d, struct err *err)
{
    char name[INDEX_FILE_PATH_MAX];
    struct digest ignored;
    uint64_t size;
    struct stat st;
    int from, to, rc;

    index_file_path(name, d);
    rc = index_store_file(index_place(b->reg), d, &from, err);
    if (rc != 1)
        return rc;
    rc = 0;
    if (fstat(from, &st) == 0)
        rc = b->to->have(b->to->arg, name, (uint64_t)st.st_size, err);
    if (rc == 0)
        rc = b->to->create(b->to->arg, name, 0640, &to, err);
    else
        to = -1;
    if (rc == 0) {
        rc = backup_file_copy(to, from, DIGEST_SHA256, &ignored, &size, backup_is_over, b, name,
                              err);
        if (rc == 0)
            rc = b->to->keep(b->to->arg, err);
        fdio_close(to);
    }
    fdio_close(from);
    return rc < 0 ? -1 : 0;
}

/* The copy of the database isn't used by anybody else, so files may be copied here. */
static int
save_blob(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    struct backup *b = arg;
    char path[BLOB_FILE_PATH_MAX], name[sizeof "layers/" + BLOB_FILE_PATH_MAX];
    int rc;

    if (backup_is_over(b))
        return err_set(err, ERR_BUSY, "interrupted");
    blob_file_path(path, d, r->instance);
    snprintf(name, sizeof name, "layers/%s", path);
    rc = b->to->have(b->to->arg, name, r->size, err);
    if (rc == 0)
        rc = copy_blob(b, d, r, name, err);
    if (rc >= 0)
        rc = save_index(b, d, err);
    b->n->seen++;
    b->n->seen_bytes += r->size;
    tell_progress(b, "saving blobs");
    return rc < 0 ? -1 : 0;
}

static int
save_blobs(struct backup *b, struct err *err)
{
    const struct digest none = {.algo = DIGEST_NONE};
    struct kv *kv = kv_backup_open(COPY, tables, TABLE_COUNT, err);
    int rc;

    if (kv == NULL)
        return -1;
    rc = tbl_blob_each(kv_reads(kv), &none, count_blob, b, err);
    if (rc == 0)
        rc = tbl_blob_each(kv_reads(kv), &none, save_blob, b, err);
    kv_close(kv);
    return rc;
}

/* ---- other files ---- */

/* from: open on the file that becomes `name`. Closes it. */
static int
save_open_file(struct backup *b, int from, const char *name, unsigned mode, struct err *err)
{
    struct digest before, d;
    uint64_t size;
    int to, rc = digest_of_fd(&before, DIGEST_SHA256, from, &size, err);

    if (rc == 0 && b->info.files_n == BACKUP_INFO_FILES_MAX)
        rc = err_set(err, ERR_FULL, "more than %d files in db/, auth/ and hooks/",
                     BACKUP_INFO_FILES_MAX);
    if (rc == 0)
        rc = b->to->have_same(b->to->arg, name, &before, err);
    if (rc == 1) {
        backup_info_add(&b->info, name, size, mode, &before);
        rc = 0;
    } else if (rc == 0) {
        rc = b->to->create(b->to->arg, name, mode, &to, err);
        if (rc == 0) {
            rc = backup_file_copy(to, from, DIGEST_SHA256, &d, &size, backup_is_over, b, name, err);
            fdio_close(to);
        }
        if (rc == 0)
            rc = b->to->keep(b->to->arg, err);
        if (rc == 0)
            backup_info_add(&b->info, name, size, mode, &d);
    }
    fdio_close(from);
    return rc;
}

static void
complain_of_file(struct backup *b, const char *name, const char *why)
{
    char text[1400];

    snprintf(text, sizeof text, "%s is not in the backup: %s", name, why);
    b->to->complain(b->to->arg, text);
}

/* Saves the regular files of a directory as prefix/NAME. mode 0: that of each file. */
static int
save_directory(struct backup *b, const char *from, const char *prefix, unsigned mode, int depth,
               struct err *err)
{
    char source[1024], name[1024];
    DIR *dir = fdio_opendir(b->reg->dirfd, from, err);
    struct stat st;
    int rc = 0;

    if (dir == NULL)
        return errno == ENOENT ? 0 : -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
        int fd;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (snprintf(source, sizeof source, "%s/%s", from, e->d_name) >= (int)sizeof source ||
            snprintf(name, sizeof name, "%s/%s", prefix, e->d_name) >= (int)sizeof name ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth > 0) {
            rc = save_directory(b, source, name, mode, depth - 1, err);
            continue;
        }
        if (!S_ISREG(st.st_mode)) {
            complain_of_file(b, name, "it is no regular file");
            continue;
        }
        fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
            complain_of_file(b, name, strerror(errno));
        else
            rc = save_open_file(b, fd, name, mode != 0 ? mode : st.st_mode & 0777u, err);
    }
    closedir(dir);
    return rc;
}

/* With db/format, fsck can check the backup as it checks a data directory. A server, or a command
 * that could change something, refuses a directory with backup.json (other_registry.c). */
static int
save_format(struct backup *b, struct err *err)
{
    int fd = openat(b->reg->dirfd, FORMAT_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    return fd >= 0 ? save_open_file(b, fd, FORMAT_FILE, SECRET_MODE, err)
                   : err_errno(err, "cannot open " FORMAT_FILE);
}

static int
save_other_files(struct backup *b, struct err *err)
{
    tell_progress(b, "saving the database");
    if (save_format(b, err) != 0 || save_directory(b, COPY, "db", SECRET_MODE, 0, err) != 0 ||
        save_directory(b, "auth", "auth", SECRET_MODE, 0, err) != 0)
        return -1;
    return save_directory(b, "hooks", "hooks", 0, HOOKS_DEPTH_MAX, err);
}

/* ---- the whole ---- */

static int
save_info(struct backup *b, struct err *err)
{
    struct buf text;
    int fd = -1, rc;

    b->info.blobs = b->n->blobs;
    b->info.bytes = b->n->bytes;
    b->info.new_blobs = b->n->new_blobs;
    b->info.new_bytes = b->n->new_bytes;
    buf_init(&text, BACKUP_INFO_BYTES_MAX);
    backup_info_write(&b->info, &text);
    rc = buf_ok(&text) ? b->to->create(b->to->arg, BACKUP_INFO_NAME, 0600, &fd, err)
                       : err_set(err, ERR_TOO_LARGE, BACKUP_INFO_NAME " would be too long");
    if (rc == 0) {
        rc = fdio_write_all(fd, text.p, text.n, BACKUP_INFO_NAME, err);
        if (rc == 0)
            rc = fdio_fsync(fd, BACKUP_INFO_NAME, err);
        fdio_close(fd);
    }
    buf_free(&text);
    return rc == 0 ? b->to->keep(b->to->arg, err) : -1;
}

static int
finish_backup(struct backup *b, char name[BACKUP_TIME_MAX], struct err *err)
{
    int rc = 0;

    tell_progress(b, "making it durable");
    for (uint64_t second = backup_info_next(b->info.moment_ms, b->to->newest); rc == 0; second++) {
        backup_info_time(name, second);
        rc = b->to->finish(b->to->arg, name, err);
    }
    return rc < 0 ? -1 : 0;
}

/* The lock of a remote database ends with the connection. */
static int
check_files_were_held(const struct backup *b, struct err *err)
{
    int rc = kv_is_remote(b->reg->kv) ? kv_moment_files_are_held(b->reg->kv, err) : 1;

    if (rc == 0)
        err_set(err, ERR_BUSY,
                "the connection to the database was lost, and files may be missing: repeat this");
    return rc == 1 ? 0 : -1;
}

int
backup_make(const struct registry *reg, const struct backup_place *to, char name[BACKUP_TIME_MAX],
            struct backup_counts *n, struct err *err)
{
    struct backup b = {.reg = reg, .to = to, .n = n};
    const struct backup_lock_wait wait = {"backup", to->wait_ms, to->is_over, to->wait, to->arg};
    struct err ignored;
    int rc, lock = backup_lock_take(reg->dirfd, &wait, err);

    *n = (struct backup_counts){0};
    if (lock < 0)
        return -1;
    tell_progress(&b, "copying the database");
    rc = kv_moment_hold_files(reg->kv, err);
    if (rc == 0)
        rc = store_copy_make(reg, COPY, &b.info.moment_ms, backup_is_over, &b, err);
    if (rc == 0)
        rc = save_blobs(&b, err);
    if (rc == 0)
        rc = check_files_were_held(&b, err);
    if (rc == 0)
        rc = save_other_files(&b, err);
    if (rc == 0)
        rc = save_info(&b, err);
    fdio_remove_tree(reg->dirfd, COPY, &ignored);
    fdio_close(lock);
    if (rc == 0)
        rc = finish_backup(&b, name, err);
    backup_info_free(&b.info);
    return rc;
}
