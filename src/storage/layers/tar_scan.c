#include "storage/layers/tar_scan.h"
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "storage/layers/tar_library.h"
#include "util/mem.h"

struct scan {
    const struct tar_source *source;
    struct archive *a;
    uint64_t pulled; /* bytes read from the source */
    bool failed;     /* the source failed; err says how */
    struct err *err;
    struct layer_piece *pieces; /* allocated on first use, for LAYER_INDEX_PIECES_MAX */
};

static la_ssize_t
on_read(struct archive *a, void *arg, const void **p)
{
    struct scan *s = arg;
    struct bytes b;
    int rc;

    /* libarchive takes an empty piece as the end. */
    do
        rc = s->source->pull(s->source->arg, &b, s->err);
    while (rc > 0 && b.n == 0);
    if (rc < 0) {
        s->failed = true;
        archive_set_error(a, -1, "the source failed");
        return -1;
    }
    *p = b.p;
    s->pulled += rc > 0 ? b.n : 0;
    return rc > 0 ? (la_ssize_t)b.n : 0;
}

static la_int64_t
on_skip(struct archive *a, void *arg, la_int64_t n)
{
    struct scan *s = arg;
    uint64_t skipped;

    (void)a;
    if (s->source->skip == NULL || n <= 0)
        return 0;
    skipped = s->source->skip(s->source->arg, (uint64_t)n);
    s->pulled += skipped;
    return (la_int64_t)skipped;
}

static enum layer_type
entry_type(const struct archive_entry *e)
{
    switch (archive_entry_filetype((struct archive_entry *)e)) {
    case AE_IFREG:
        return LAYER_FILE;
    case AE_IFDIR:
        return LAYER_DIR;
    case AE_IFLNK:
        return LAYER_SYMLINK;
    case AE_IFCHR:
        return LAYER_CHAR;
    case AE_IFBLK:
        return LAYER_BLOCK;
    case AE_IFIFO:
        return LAYER_FIFO;
    default:
        return LAYER_NONE;
    }
}

static uint64_t
not_negative(la_int64_t v)
{
    return v > 0 ? (uint64_t)v : 0;
}

static struct bytes
text(const char *s)
{
    return s != NULL ? bytes_str(s) : bytes_of("", 0);
}

static int
take_pieces(struct scan *s, struct archive_entry *e, struct tar_entry *t)
{
    la_int64_t offset, length;
    int n = archive_entry_sparse_reset(e);

    t->sparse = n > 0;
    if (n <= 0 || n > LAYER_INDEX_PIECES_MAX)
        return 0;
    if (s->pieces == NULL)
        s->pieces = mem_array(LAYER_INDEX_PIECES_MAX, sizeof *s->pieces);
    while (t->pieces_n < (size_t)n && archive_entry_sparse_next(e, &offset, &length) == ARCHIVE_OK)
        s->pieces[t->pieces_n++] = (struct layer_piece){not_negative(offset), not_negative(length)};
    t->pieces = s->pieces;
    return 0;
}

static int
convert_entry(struct scan *s, struct archive_entry *e, struct tar_entry *t)
{
    const char *hard = archive_entry_hardlink(e);
    dev_t device = archive_entry_rdev(e);

    *t = (struct tar_entry){
        .path = text(archive_entry_pathname(e)),
        .link = text(hard != NULL ? hard : archive_entry_symlink(e)),
        .hard_link = hard != NULL,
        .type = hard != NULL ? LAYER_NONE : entry_type(e),
        .mode = archive_entry_perm(e) & 07777,
        .uid = not_negative(archive_entry_uid(e)),
        .gid = not_negative(archive_entry_gid(e)),
        .size = not_negative(archive_entry_size(e)),
        .mtime = archive_entry_mtime(e),
        .major = major(device),
        .minor = minor(device),
        .data = not_negative(archive_filter_bytes(s->a, 0)),
    };
    if (archive_entry_mtime_nsec(e) > 0 && archive_entry_mtime_nsec(e) < 1000000000)
        t->nanos = (uint32_t)archive_entry_mtime_nsec(e);
    /* The library reads -1.5 as -1 and half a second. Its result for -0.5 is the same as for 0.5.
     */
    if (t->nanos > 0 && t->mtime < 0 && t->mtime > INT64_MIN) {
        t->mtime--;
        t->nanos = 1000000000 - t->nanos;
    }
    t->xattrs = (uint32_t)archive_entry_xattr_count(e);
    return take_pieces(s, e, t);
}

/* The result of the call that found no more entries. */
static int
end_scan(struct scan *s, int ret, bool any, enum tar_end *end, char *why)
{
    const char *says = archive_error_string(s->a);

    if (s->failed)
        return -1;
    if (ret == ARCHIVE_EOF || s->pulled == 0) {
        *end = TAR_WHOLE;
        return 0;
    }
    *end = any ? TAR_INCOMPLETE : TAR_NONE;
    snprintf(why, LAYER_INDEX_TEXT_MAX, "%s: %s",
             any ? "the tar can't be read to its end" : "not a tar",
             says != NULL ? says : "unknown");
    return 0;
}

static int
scan_entries(struct scan *s, int (*fn)(void *arg, const struct tar_entry *e, struct err *err),
             void *arg, enum tar_end *end, char *why)
{
    struct archive_entry *e;
    struct tar_entry t;
    bool any = false;
    int ret;

    if (archive_read_support_format_tar(s->a) != ARCHIVE_OK ||
        archive_read_set_read_callback(s->a, on_read) != ARCHIVE_OK ||
        archive_read_set_skip_callback(s->a, on_skip) != ARCHIVE_OK ||
        archive_read_set_callback_data(s->a, s) != ARCHIVE_OK)
        return err_set(s->err, ERR_SYSTEM, "libarchive: %s", archive_error_string(s->a));
    ret = archive_read_open1(s->a);
    while (ret == ARCHIVE_OK || ret == ARCHIVE_WARN) {
        /* Warnings (about names that can't be converted, for example) are ignored. */
        ret = archive_read_next_header(s->a, &e);
        if (ret != ARCHIVE_OK && ret != ARCHIVE_WARN)
            break;
        any = true;
        if (convert_entry(s, e, &t) != 0 || fn(arg, &t, s->err) != 0)
            return -1;
    }
    return end_scan(s, ret, any, end, why);
}

int
tar_scan_prepare(struct err *err)
{
    return tar_library_load(err);
}

int
tar_scan(const struct tar_source *source,
         int (*fn)(void *arg, const struct tar_entry *e, struct err *err), void *arg,
         enum tar_end *end, char *why, struct err *err)
{
    struct scan s = {.source = source, .err = err};
    int rc;

    why[0] = '\0';
    if (tar_library_load(err) != 0)
        return -1;
    s.a = archive_read_new();
    if (s.a == NULL)
        mem_exhausted();
    rc = scan_entries(&s, fn, arg, end, why);
    archive_read_free(s.a);
    free(s.pieces);
    return rc;
}
