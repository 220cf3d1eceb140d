#include "domain/transfer/import_blob.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/core/blob.h"
#include "domain/core/upload.h"
#include "storage/files/blob_file.h"
#include "util/fdio.h"
#include "util/mem.h"

/* Bytes between two calls of is_over. */
#define PIECE ((size_t)1 << 20)

int
import_blob_read(struct import_store *s, const struct import_file *file,
                 struct digest_state *const *hashes, size_t n, int to, struct err *err)
{
    char *piece = mem_alloc(PIECE);
    int rc = 0;

    for (uint64_t at = 0; rc == 0 && at < file->size;) {
        size_t size = file->size - at < PIECE ? (size_t)(file->size - at) : PIECE;

        if (import_store_go_on(s, err) != 0 || import_files_bytes(file, at, piece, size, err) != 0)
            rc = -1;
        for (size_t i = 0; rc == 0 && i < n; i++)
            digest_update(hashes[i], piece, size);
        if (rc == 0 && to >= 0) {
            rc = fdio_write_all(to, piece, size, "uploads/", err);
            /* Starts writing to the disk, so that the fsync at the end has little to do. */
            sync_file_range(to, (off_t)at, (off_t)size, SYNC_FILE_RANGE_WRITE);
        }
        at += size;
        s->counts->bytes += size;
        s->access->tell(s->access->arg, s->counts);
    }
    free(piece);
    return rc;
}

/* Hashes the file: 1, 0 (unreadable, with a complaint), -1. */
static int
hash_import_file(struct import_store *s, const struct digest *want, const struct import_file *file,
                 int to, struct digest *got, struct err *err)
{
    struct digest_state *state = digest_begin(want->algo);
    char text[DIGEST_TEXT_MAX];
    int rc;

    if (state == NULL)
        return err_set(err, ERR_SYSTEM, "cannot begin a digest");
    rc = import_blob_read(s, file, &state, 1, to, err);
    digest_end(state, got);
    if (rc == 0)
        return 1;
    digest_text(text, want);
    return import_store_failed(s, err, "blob %s", text);
}

static int
check_import_digest(struct import_store *s, const struct digest *want, const struct digest *got)
{
    char is[DIGEST_TEXT_MAX], says[DIGEST_TEXT_MAX];

    if (digest_equal(want, got))
        return 1;
    digest_text(is, got);
    digest_text(says, want);
    return import_store_leave_out(s, "blob %s is damaged: its bytes are %s", says, is);
}

/* ---- by a link ---- */

/* A linked file belongs to the registry and to the source. So nobody but root and the registry's
 * own user may be able to change it, ever: its owner could write to it, also after a change of its
 * mode. And the registry's user must be able to read it. */
static bool
can_be_linked(const struct import_store *s, const struct import_file *file)
{
    struct stat is;
    char self[32];

    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    return file->fixed && fstat(file->fd, &is) == 0 && S_ISREG(is.st_mode) &&
           (is.st_uid == 0 || is.st_uid == geteuid()) && (is.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
           blob_file_is_linkable(s->reg->blobs, is.st_dev) && access(self, R_OK) == 0;
}

/* 1, 0 (left out), -1; 2: it can't be linked after all. */
static int
take_linked(struct import_store *s, const struct digest *d, const struct import_file *file,
            struct err *err)
{
    struct blob_file_link by = {.fn = s->access->link, .arg = s->access->arg};
    struct digest got;
    int rc = hash_import_file(s, d, file, -1, &got, err);

    if (rc == 1)
        rc = check_import_digest(s, d, &got);
    if (rc != 1)
        return rc;
    rc = blob_commit_linked(s->reg, s->name, d, file->fd, file->size, &by, err);
    if (rc == 1)
        s->counts->linked++;
    return rc == 0 ? 2 : rc;
}

/* ---- by a copy ---- */

/* On a file system with FICLONE, a clone takes no time and no space. It is hashed afterwards, when
 * nobody else can change it. */
static int
copy_import_file(struct import_store *s, const struct digest *d, const struct import_file *file,
                 int to, struct digest *got, struct err *err)
{
    struct import_file clone = {.fd = to, .size = file->size};

    if (file->at == 0 && ioctl(to, FICLONE, file->fd) == 0)
        return hash_import_file(s, d, &clone, -1, got, err);
    return hash_import_file(s, d, file, to, got, err);
}

static int
take_copy(struct import_store *s, const struct digest *d, const struct import_file *file,
          struct err *err)
{
    struct digest got;
    int fd, rc;

    if (upload_room(s->reg, file->size, err) != 0)
        return -1;
    fd = blob_file_create(s->reg->blobs, err);
    if (fd < 0)
        return -1;
    rc = copy_import_file(s, d, file, fd, &got, err);
    if (rc == 1)
        rc = check_import_digest(s, d, &got);
    if (rc == 1 && blob_commit(s->reg, s->name, d, fd, file->size, err) != 0)
        rc = -1;
    fdio_close(fd);
    s->counts->copied += rc == 1;
    return rc;
}

static int
take_blob(struct import_store *s, const struct digest *d, struct import_file *file, struct err *err)
{
    uint64_t max = s->reg->max_blob_size;
    char text[DIGEST_TEXT_MAX];
    int rc = 2;

    digest_text(text, d);
    if (max != 0 && file->size > max)
        return import_store_leave_out(s, "blob %s is left out: it has more than %llu bytes", text,
                                      (unsigned long long)max);
    if (can_be_linked(s, file))
        rc = take_linked(s, d, file, err);
    return rc == 2 ? take_copy(s, d, file, err) : rc;
}

/* ---- from the store, or from the source ---- */

/* For a blob that is not in the store. */
static int
fetch_blob(struct import_store *s, const struct digest *d, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    struct import_file file;
    int rc = s->source->blob(s->source->arg, d, &file, err);

    digest_text(text, d);
    if (rc < 0)
        return import_store_failed(s, err, "blob %s", text);
    if (rc == 0)
        return import_store_leave_out(s, "blob %s is left out: it isn't there", text);
    rc = take_blob(s, d, &file, err);
    import_files_shut(&file);
    return rc;
}

int
import_blob_ensure(struct import_store *s, const struct digest *d, struct err *err)
{
    int rc;

    if (import_set_has(&s->bad, d))
        return 0;
    if (import_set_has(&s->joined, d))
        return 1;
    if (import_store_go_on(s, err) != 0)
        return -1;
    rc = blob_join(s->reg, s->name, d, err);
    if (rc == 0)
        rc = fetch_blob(s, d, err);
    s->access->tell(s->access->arg, s->counts);
    if (rc == 0)
        import_set_add(&s->bad, d, NULL);
    if (rc == 1)
        import_set_add(&s->joined, d, NULL);
    return rc == 1 ? import_store_count_blob(s, d) : rc;
}
