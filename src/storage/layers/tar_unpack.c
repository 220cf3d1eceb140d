#include "storage/layers/tar_unpack.h"
#include <unistd.h>
#include "storage/layers/tar_library.h"
#include "util/mem.h"

/* Only libarchive's filters are used ("raw" is its format of uninterpreted bytes). Its reader of
 * tar interprets names, types and numbers, but tarsums are computed from the stored bytes. */

#define BLOCK ((size_t)256 << 10)

struct tar_unpack {
    struct archive *a;
    bool done;
};

static int
failed(struct tar_unpack *u, struct err *err)
{
    const char *why = archive_error_string(u->a);

    return err_set(err, ERR_BAD_IMAGE, "the layer can't be unpacked: %s",
                   why != NULL ? why : "unknown error");
}

static int
set_up(struct tar_unpack *u, int fd, struct err *err)
{
    struct archive_entry *entry;
    int rc;

    archive_read_support_filter_gzip(u->a);
    archive_read_support_filter_bzip2(u->a);
    archive_read_support_filter_xz(u->a);
    archive_read_support_filter_zstd(u->a);
    archive_read_support_format_empty(u->a);
    archive_read_support_format_raw(u->a);
    if (lseek(fd, 0, SEEK_SET) != 0)
        return err_errno(err, "cannot seek in a layer");
    if (archive_read_open_fd(u->a, fd, BLOCK) != ARCHIVE_OK)
        return failed(u, err);
    rc = archive_read_next_header(u->a, &entry);
    u->done = rc == ARCHIVE_EOF;
    return rc == ARCHIVE_OK || rc == ARCHIVE_WARN || u->done ? 0 : failed(u, err);
}

struct tar_unpack *
tar_unpack_open(int fd, struct err *err)
{
    struct tar_unpack *u;

    if (tar_library_load(err) != 0)
        return NULL;
    u = mem_alloc(sizeof *u);
    u->a = archive_read_new();
    if (u->a == NULL)
        mem_exhausted();
    if (set_up(u, fd, err) == 0)
        return u;
    tar_unpack_close(u);
    return NULL;
}

void
tar_unpack_close(struct tar_unpack *u)
{
    if (u == NULL)
        return;
    archive_read_free(u->a);
    free(u);
}

int
tar_unpack_next(struct tar_unpack *u, struct bytes *piece, struct err *err)
{
    la_int64_t offset;
    int rc = ARCHIVE_EOF;

    *piece = bytes_of("", 0);
    if (!u->done)
        do
            rc = archive_read_data_block(u->a, &piece->p, &piece->n, &offset);
        while ((rc == ARCHIVE_OK && piece->n == 0) || rc == ARCHIVE_RETRY);
    if (rc == ARCHIVE_OK || rc == ARCHIVE_WARN)
        return 1;
    u->done = true;
    return rc == ARCHIVE_EOF ? 0 : failed(u, err);
}
