#include "storage/layers/tar_write.h"
#include <stdbool.h>
#include "util/utf8.h"

#define BLOCK 512

/* The offsets and lengths of the fields of a ustar header. */
struct field {
    size_t at, n;
};
static const struct field NAME = {0, 100}, MODE = {100, 8}, UID = {108, 8}, GID = {116, 8},
                          SIZE = {124, 12}, MTIME = {136, 12}, SUM = {148, 8}, TYPE = {156, 1},
                          LINK = {157, 100}, MAGIC = {257, 8}, MAJOR = {329, 8}, MINOR = {337, 8};

/* ---- a ustar header ---- */

/* True if the octal digits of that field can't hold v. */
static bool
is_too_large(struct field f, uint64_t value)
{
    return value >> (3 * (f.n - 1)) != 0;
}

static void
put_tar_text(unsigned char *block, struct field f, struct bytes text)
{
    if (text.n > 0)
        memcpy(block + f.at, text.p, text.n < f.n ? text.n : f.n);
}

/* Writes zero if the number doesn't fit, because it is in the pax header. */
static void
put_octal(unsigned char *block, struct field f, uint64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%0*llo", (int)f.n - 1,
             is_too_large(f, value) ? 0ULL : (unsigned long long)value);
    memcpy(block + f.at, digits, f.n);
}

static void
put_sum(unsigned char *block)
{
    char digits[16];
    unsigned sum = 0;
    memset(block + SUM.at, ' ', SUM.n);
    for (size_t i = 0; i < BLOCK; i++)
        sum += block[i];
    snprintf(digits, sizeof digits, "%06o", sum); /* followed by NUL and a blank */
    memcpy(block + SUM.at, digits, SUM.n - 1);
}

static char
tar_type(const struct tar_entry *e)
{
    static const char types[] = {
        [LAYER_FILE] = '0',  [LAYER_SYMLINK] = '2', [LAYER_CHAR] = '3',
        [LAYER_BLOCK] = '4', [LAYER_DIR] = '5',     [LAYER_FIFO] = '6',
    };
    return e->hard_link ? '1' : types[e->type];
}

static uint64_t
size_of(const struct tar_entry *e)
{
    return e->type == LAYER_FILE && !e->hard_link ? e->size : 0;
}

static void
put_block(struct buf *out, const struct tar_entry *e, struct bytes path, char type)
{
    unsigned char block[BLOCK] = {0};
    put_tar_text(block, NAME, path);
    put_tar_text(block, LINK, e->link);
    put_octal(block, MODE, e->mode & 07777);
    put_octal(block, UID, e->uid);
    put_octal(block, GID, e->gid);
    put_octal(block, SIZE, type == 'x' ? e->size : size_of(e));
    put_octal(block, MTIME, e->mtime > 0 ? (uint64_t)e->mtime : 0);
    put_octal(block, MAJOR, e->major);
    put_octal(block, MINOR, e->minor);
    block[TYPE.at] = (unsigned char)type;
    memcpy(block + MAGIC.at, "ustar\00000", MAGIC.n);
    put_sum(block);
    buf_put(out, block, sizeof block);
}

/* ---- a pax header ---- */

/* Appends "<length> <key>=<value>\n"; the length counts itself. */
static void
put_record(struct buf *out, const char *key, struct bytes value)
{
    size_t rest = strlen(key) + value.n + 3, n = rest + 1;
    while (n != rest + (size_t)snprintf(NULL, 0, "%zu", n))
        n = rest + (size_t)snprintf(NULL, 0, "%zu", n);
    buf_putf(out, "%zu %s=", n, key);
    buf_put(out, value.p, value.n);
    buf_putc(out, '\n');
}

static void
put_large(struct buf *out, const char *key, struct field f, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    if (is_too_large(f, value))
        put_record(out, key, bytes_str(text));
}

/* A time before 1970 gets no fraction: GNU tar and libarchive disagree on which side of the second
 * it lies, and both are wrong. */
static void
put_time(struct buf *out, const struct tar_entry *e)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%lld", (long long)e->mtime);
    if (e->mtime >= 0 && e->nanos > 0)
        snprintf(text + n, sizeof text - (size_t)n, ".%09u", e->nanos);
    else if (e->mtime >= 0 && !is_too_large(MTIME, (uint64_t)e->mtime))
        return;
    put_record(out, "mtime", bytes_str(text));
}

static bool
is_utf8(struct bytes text)
{
    char mended[LAYER_PATH_MAX + 2];
    if (text.n >= sizeof mended)
        return false;
    memcpy(mended, text.p, text.n);
    mended[text.n] = '\0';
    utf8_mend(mended);
    return memcmp(mended, text.p, text.n) == 0;
}

/* Values in pax records are UTF-8 unless a record declares them binary. */
static void
put_long_names(struct buf *out, struct bytes path, struct bytes link)
{
    bool long_path = path.n > NAME.n, long_link = link.n > LINK.n;
    if ((long_path && !is_utf8(path)) || (long_link && !is_utf8(link)))
        put_record(out, "hdrcharset", bytes_str("BINARY"));
    if (long_path)
        put_record(out, "path", path);
    if (long_link)
        put_record(out, "linkpath", link);
}

static void
put_tar_padding(struct buf *out, size_t n)
{
    static const char zeroes[2 * BLOCK];
    buf_put(out, zeroes, n);
}

static void
put_pax(struct buf *out, const struct tar_entry *e, struct bytes path)
{
    struct buf records;
    buf_init(&records, TAR_WRITE_HEADER_MAX);
    put_long_names(&records, path, e->link);
    put_large(&records, "size", SIZE, size_of(e));
    put_large(&records, "uid", UID, e->uid);
    put_large(&records, "gid", GID, e->gid);
    put_large(&records, "SCHILY.devmajor", MAJOR, e->major);
    put_large(&records, "SCHILY.devminor", MINOR, e->minor);
    put_time(&records, e);
    if (!buf_ok(&records)) {
        out->failed = true;
    } else if (records.n > 0) {
        const struct tar_entry pax = {.type = LAYER_FILE, .mode = 0644, .size = records.n};
        put_block(out, &pax, bytes_str("PaxHeader"), 'x');
        buf_put(out, records.p, records.n);
        put_tar_padding(out, tar_write_padding(records.n));
    }
    buf_free(&records);
}

/* ---- the entry ---- */

void
tar_write_header(struct buf *out, const struct tar_entry *e)
{
    char room[LAYER_PATH_MAX + 2];
    struct bytes path = e->path;
    bool dir = e->type == LAYER_DIR && !e->hard_link;
    if (dir && path.n > 0 && path.n < sizeof room && ((const char *)path.p)[path.n - 1] != '/') {
        memcpy(room, path.p, path.n);
        room[path.n] = '/';
        path = bytes_of(room, path.n + 1);
    }
    put_pax(out, e, path);
    put_block(out, e, path, tar_type(e));
}

size_t
tar_write_padding(uint64_t size)
{
    return (size_t)(-size & (BLOCK - 1));
}

void
tar_write_end(struct buf *out)
{
    put_tar_padding(out, 2 * (size_t)BLOCK);
}
