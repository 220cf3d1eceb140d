#include "domain/core/document_file.h"
#include <errno.h>
#include <sys/stat.h>
#include "storage/files/blob_file.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"

#define PIECE (256u << 10)
#define SEEN 64
#define SEEN_MS 60000

/* Files that were right. Instances are random, and no file gets one again. */
static struct seen_file {
    uint64_t instance, until_ms;
    struct timespec changed;
} seen_files[SEEN];

static bool
was_file_seen(uint64_t instance, const struct stat *st)
{
    const struct seen_file *s = &seen_files[instance % SEEN];

    return s->instance == instance && s->changed.tv_sec == st->st_ctim.tv_sec &&
           s->changed.tv_nsec == st->st_ctim.tv_nsec && clock_mono_ms() < s->until_ms;
}

static void
remember_file(uint64_t instance, const struct stat *st)
{
    seen_files[instance % SEEN] =
        (struct seen_file){instance, clock_mono_ms() + SEEN_MS, st->st_ctim};
}

/* 1, 0; -1: it can't be read. */
static int
has_digest(int fd, const struct digest *d)
{
    struct digest_state *s = digest_begin(d->algo);
    uint8_t *piece = mem_alloc(PIECE);
    struct digest actual;
    uint64_t at = 0;
    ssize_t n;

    while ((n = fdio_read_at(fd, piece, PIECE, at)) > 0) {
        digest_update(s, piece, (size_t)n);
        at += (uint64_t)n;
    }
    digest_end(s, &actual);
    free(piece);
    return n < 0 ? -1 : digest_equal(&actual, d);
}

void
document_file_tell_damage(const struct digest *d, const char *why)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    log_client_line(LOG_ERROR, "a manifest or a config is damaged on the disk: push it again",
                    "digest=%s why=%s", text, why);
}

int
document_file_check(const struct registry *reg, const struct digest *d, uint64_t instance,
                    struct err *err)
{
    int fd = blob_file_open(reg->blobs, d, instance, err), rc;
    struct stat st;

    if (fd < 0 && err->sys != ENOENT && err->sys != EIO)
        return -1;
    if (fd < 0) {
        document_file_tell_damage(d, err->message);
        return 0;
    }
    if (fstat(fd, &st) != 0) {
        rc = err_errno(err, "looking at a manifest");
    } else if (was_file_seen(instance, &st)) {
        rc = 1;
    } else if ((rc = has_digest(fd, d)) == 1) {
        remember_file(instance, &st);
    } else {
        document_file_tell_damage(d, rc < 0 ? "its file can't be read"
                                            : "its file has another digest");
        rc = 0;
    }
    fdio_close(fd);
    return rc;
}
