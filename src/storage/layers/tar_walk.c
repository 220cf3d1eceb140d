#include "storage/layers/tar_walk.h"
#include <stdbool.h>
#include <sys/stat.h>
#include "util/fdio.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/mem.h"

#define BLOCK 512

/* Maximal bytes of a name, and of a pax record; longer ones are an attack. */
#define RECORD_MAX (1u << 20)

/* Bytes read at once from an uncompressed file: some headers. */
#define FILE_PIECE 4096

#define XATTR "SCHILY.xattr."

/* The places of the fields (POSIX.1, pax, "ustar Interchange Format"). */
enum field {
    FIELD_NAME,
    FIELD_MODE,
    FIELD_UID,
    FIELD_GID,
    FIELD_SIZE,
    FIELD_MTIME,
    FIELD_CHECKSUM,
    FIELD_TYPE,
    FIELD_LINKNAME,
    FIELD_MAGIC,
    FIELD_UNAME,
    FIELD_GNAME,
    FIELD_DEVMAJOR,
    FIELD_DEVMINOR,
    FIELD_PREFIX,
    FIELD_STAR_PREFIX,
    FIELD_STAR_MAGIC,
};
static const struct {
    size_t at;
    size_t n;
} header_fields[] = {
    [FIELD_NAME] = {0, 100},          [FIELD_MODE] = {100, 8},       [FIELD_UID] = {108, 8},
    [FIELD_GID] = {116, 8},           [FIELD_SIZE] = {124, 12},      [FIELD_MTIME] = {136, 12},
    [FIELD_CHECKSUM] = {148, 8},      [FIELD_TYPE] = {156, 1},       [FIELD_LINKNAME] = {157, 100},
    [FIELD_MAGIC] = {257, 8},         [FIELD_UNAME] = {265, 32},     [FIELD_GNAME] = {297, 32},
    [FIELD_DEVMAJOR] = {329, 8},      [FIELD_DEVMINOR] = {337, 8},   [FIELD_PREFIX] = {345, 155},
    [FIELD_STAR_PREFIX] = {345, 131}, [FIELD_STAR_MAGIC] = {508, 4},
};

struct tar_walk {
    struct tar_unpack *from; /* NULL: an uncompressed file */
    int fd;
    uint64_t at; /* bytes of it that were read or skipped */
    uint64_t size;
    unsigned char read[FILE_PIECE];
    struct bytes piece; /* rest of the last piece */
    uint64_t data;      /* bytes left of the entry's data */
    uint64_t padding;   /* bytes behind the data, up to the next block */
    unsigned char block[BLOCK];
    struct buf name;      /* prefix and name */
    struct buf long_name; /* GNU's long name, or empty */
    struct buf long_link;
    struct buf pax; /* the records of the next entry */
};

struct tar_walk *
tar_walk_begin(struct tar_unpack *from)
{
    struct tar_walk *w = mem_alloc(sizeof *w);

    w->from = from;
    w->fd = -1;
    buf_init(&w->name, 2 * BLOCK);
    buf_init(&w->long_name, RECORD_MAX);
    buf_init(&w->long_link, RECORD_MAX);
    buf_init(&w->pax, RECORD_MAX);
    return w;
}

struct tar_walk *
tar_walk_begin_file(int fd)
{
    struct tar_walk *w = tar_walk_begin(NULL);
    struct stat st;

    w->fd = fd;
    w->size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return w;
}

uint64_t
tar_walk_position(const struct tar_walk *w)
{
    return w->at - w->piece.n;
}

void
tar_walk_end(struct tar_walk *w)
{
    if (w == NULL)
        return;
    buf_free(&w->name);
    buf_free(&w->long_name);
    buf_free(&w->long_link);
    buf_free(&w->pax);
    free(w);
}

static int
no_tar(const char *why, struct err *err)
{
    return err_set(err, ERR_BAD_IMAGE, "it is not a tar that can be read: %s", why);
}

/* ---- bytes ---- */

static int
read_tar_piece(struct tar_walk *w, struct err *err)
{
    ssize_t n = fdio_read_at(w->fd, w->read, sizeof w->read, w->at);

    if (n < 0)
        return err_errno(err, "cannot read a tar");
    w->piece = bytes_of(w->read, (size_t)n);
    w->at += (uint64_t)n;
    return n > 0;
}

/* Gives the next bytes, at most n. Returns 1, 0 at the end, -1. */
static int
take_tar_bytes(struct tar_walk *w, uint64_t n, struct bytes *out, struct err *err)
{
    if (w->piece.n == 0) {
        int rc =
            w->from != NULL ? tar_unpack_next(w->from, &w->piece, err) : read_tar_piece(w, err);

        if (rc != 1)
            return rc;
    }
    *out = bytes_of(w->piece.p, n < w->piece.n ? (size_t)n : w->piece.n);
    w->piece = bytes_of((const char *)w->piece.p + out->n, w->piece.n - out->n);
    return 1;
}

static int
skip_tar_data(struct tar_walk *w, uint64_t *n, struct err *err)
{
    while (*n > 0) {
        struct bytes b;
        int rc;

        if (w->from == NULL && w->piece.n == 0 && w->at <= w->size && *n <= w->size - w->at) {
            w->at += *n;
            *n = 0;
            return 0;
        }
        rc = take_tar_bytes(w, *n, &b, err);
        if (rc != 1)
            return rc < 0 ? -1 : no_tar("it ends within an entry", err);
        *n -= b.n;
    }
    return 0;
}

/* Reads the next header. Returns 1, 0 when no bytes are left, -1. */
static int
read_tar_block(struct tar_walk *w, struct err *err)
{
    for (size_t n = 0; n < BLOCK;) {
        struct bytes b;
        int rc = take_tar_bytes(w, BLOCK - n, &b, err);

        if (rc == 0 && n > 0)
            return no_tar("it ends within a block", err);
        if (rc != 1)
            return rc;
        memcpy(w->block + n, b.p, b.n);
        n += b.n;
    }
    return 1;
}

/* Reads all data of the entry, which are a name or records. */
static int
read_record(struct tar_walk *w, struct buf *out, struct err *err)
{
    struct bytes b = bytes_of("", 0); /* clang --analyze doesn't know that err_set returns -1 */
    int rc;

    buf_reset(out);
    if (w->data > RECORD_MAX)
        return no_tar("a name or attribute is too long", err);
    while ((rc = tar_walk_data(w, &b, err)) == 1)
        buf_put(out, b.p, b.n);
    if (rc == 0 && !buf_ok(out))
        return arena_full(err);
    return rc;
}

/* ---- fields ---- */

static struct bytes
header_text(const struct tar_walk *w, enum field f)
{
    const char *p = (const char *)w->block + header_fields[f].at;

    return bytes_of(p, strnlen(p, header_fields[f].n));
}

/* GNU's large numbers: the first bit is set, and the rest is a big-endian two's complement. */
static bool
parse_base256(const unsigned char *p, size_t n, int64_t *out)
{
    bool negative = (p[0] & 0x40) != 0;
    unsigned char fill = negative ? 0xff : 0;
    uint64_t v = negative ? UINT64_MAX : 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = i > 0 ? p[i] : negative ? p[0] : p[0] & 0x7f;

        if (n - i > 8 && c != fill)
            return false;
        v = v << 8 | c;
    }
    if ((v >> 63 != 0) != negative)
        return false;
    *out = (int64_t)v;
    return true;
}

/* Octal digits between blanks and NULs. No digits stand for 0. */
static bool
parse_number(const struct tar_walk *w, enum field f, int64_t *out)
{
    const unsigned char *p = w->block + header_fields[f].at;
    size_t n = header_fields[f].n, i = 0;
    int64_t v = 0;

    if ((p[0] & 0x80) != 0)
        return parse_base256(p, n, out);
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\0'))
        n--;
    while (i < n && (p[i] == ' ' || p[i] == '\0'))
        i++;
    for (; i < n && p[i] != '\0'; i++) { /* at most twelve digits */
        if (p[i] < '0' || p[i] > '7')
            return false;
        v = v * 8 + (p[i] - '0');
    }
    *out = v;
    return true;
}

/* Checks the checksum over the header's bytes, with its own field as blanks. Some old programs add
 * the bytes as signed. */
static bool
is_header(const struct tar_walk *w)
{
    size_t at = header_fields[FIELD_CHECKSUM].at, end = at + header_fields[FIELD_CHECKSUM].n;
    int64_t plain = 0, with_sign = 0, want;

    for (size_t i = 0; i < BLOCK; i++) {
        unsigned char c = i >= at && i < end ? ' ' : w->block[i];

        plain += c;
        with_sign += (signed char)c;
    }
    return parse_number(w, FIELD_CHECKSUM, &want) && (want == plain || want == with_sign);
}

static bool
is_zero(const struct tar_walk *w)
{
    for (size_t i = 0; i < BLOCK; i++)
        if (w->block[i] != 0)
            return false;
    return true;
}

static bool
has_bytes(const struct tar_walk *w, enum field f, const char *want)
{
    return memcmp(w->block + header_fields[f].at, want, strlen(want)) == 0;
}

/* Builds the name from the prefix that ustar (and star, a shorter one) has, and the name field. */
static struct bytes
whole_name(struct tar_walk *w)
{
    enum field f = has_bytes(w, FIELD_STAR_MAGIC, "tar") ? FIELD_STAR_PREFIX : FIELD_PREFIX;
    struct bytes name = header_text(w, FIELD_NAME), prefix = header_text(w, f);
    const char *magic = (const char *)w->block + header_fields[FIELD_MAGIC].at;

    if (memcmp(magic, "ustar\0", 6) != 0 || prefix.n == 0)
        return name;
    buf_reset(&w->name);
    buf_put(&w->name, prefix.p, prefix.n);
    buf_putc(&w->name, '/');
    buf_put(&w->name, name.p, name.n);
    return buf_bytes(&w->name);
}

static int
read_tar_header(struct tar_walk *w, struct tar_walk_entry *e, struct err *err)
{
    bool good = parse_number(w, FIELD_MODE, &e->mode) && parse_number(w, FIELD_UID, &e->uid) &&
                parse_number(w, FIELD_GID, &e->gid) && parse_number(w, FIELD_SIZE, &e->size) &&
                parse_number(w, FIELD_MTIME, &e->mtime);

    e->type = (char)w->block[header_fields[FIELD_TYPE].at];
    e->name = whole_name(w);
    e->linkname = header_text(w, FIELD_LINKNAME);
    if (has_bytes(w, FIELD_MAGIC, "ustar")) {
        e->uname = header_text(w, FIELD_UNAME);
        e->gname = header_text(w, FIELD_GNAME);
        if (e->type == '3' || e->type == '4')
            good = good && parse_number(w, FIELD_DEVMAJOR, &e->devmajor) &&
                   parse_number(w, FIELD_DEVMINOR, &e->devminor);
    }
    return good && e->size >= 0 ? 0 : no_tar("a header has a bad number", err);
}

/* ---- pax ---- */

/* Parses a decimal number. A fraction is rounded towards minus infinity. */
static bool
parse_decimal(struct bytes b, int64_t *out)
{
    const char *p = b.p;
    bool negative = b.n > 0 && p[0] == '-', fraction = false;
    size_t i = negative;
    int64_t v = 0;

    if (i == b.n)
        return false;
    for (; i < b.n && p[i] >= '0' && p[i] <= '9'; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, p[i] - '0', &v))
            return false;
    if (i < b.n && p[i++] != '.')
        return false;
    for (; i < b.n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        fraction = fraction || p[i] != '0';
    }
    *out = negative ? -v - fraction : v;
    return true;
}

static bool
is_key(struct bytes key, const char *name)
{
    return bytes_equal(key, bytes_str(name));
}

static int
compare_pax_names(const void *a, const void *b)
{
    const struct tar_walk_xattr *x = a, *y = b;

    return bytes_compare(x->name, y->name);
}

/* Stores the value of a name, replacing an earlier one. */
static bool
add_xattr(struct tar_walk_entry *e, struct bytes name, struct bytes value)
{
    size_t i = 0;

    while (i < e->xattrs_n && !bytes_equal(e->xattrs[i].name, name))
        i++;
    if (i == TAR_WALK_XATTRS_MAX)
        return false;
    e->xattrs[i] = (struct tar_walk_xattr){name, value};
    e->xattrs_n += i == e->xattrs_n;
    return true;
}

static bool
apply_record(struct tar_walk_entry *e, struct bytes key, struct bytes value)
{
    if (bytes_start_with(key, bytes_str(XATTR)))
        return add_xattr(e, bytes_of((const char *)key.p + strlen(XATTR), key.n - strlen(XATTR)),
                         value);
    if (bytes_start_with(key, bytes_str("GNU.sparse.")))
        return false;
    if (value.n == 0) /* the header's value stays */
        return true;
    if (is_key(key, "path"))
        e->name = value;
    else if (is_key(key, "linkpath"))
        e->linkname = value;
    else if (is_key(key, "uname"))
        e->uname = value;
    else if (is_key(key, "gname"))
        e->gname = value;
    else if (is_key(key, "uid"))
        return parse_decimal(value, &e->uid);
    else if (is_key(key, "gid"))
        return parse_decimal(value, &e->gid);
    else if (is_key(key, "mtime"))
        return parse_decimal(value, &e->mtime);
    else if (is_key(key, "size"))
        return parse_decimal(value, &e->size) && e->size >= 0;
    return true;
}

/* Parses "<length> <key>=<value>\n"; the length is that of the whole record. */
static bool
next_record(struct bytes *rest, struct bytes *key, struct bytes *value)
{
    const char *p = rest->p, *equals;
    size_t digits = 0, n = 0;

    while (digits < rest->n && digits < 8 && p[digits] >= '0' && p[digits] <= '9')
        n = n * 10 + (size_t)(p[digits++] - '0');
    if (digits == 0 || digits == rest->n || p[digits] != ' ' || n > rest->n || n < digits + 3 ||
        p[n - 1] != '\n')
        return false;
    *key = bytes_of(p + digits + 1, n - digits - 2);
    equals = memchr(key->p, '=', key->n);
    if (equals == NULL || equals == key->p)
        return false;
    *value = bytes_of(equals + 1, (size_t)(p + n - 1 - (equals + 1)));
    key->n = (size_t)(equals - (const char *)key->p);
    *rest = bytes_of(p + n, rest->n - n);
    return true;
}

static int
apply_pax(struct tar_walk *w, struct tar_walk_entry *e, struct err *err)
{
    struct bytes rest = buf_bytes(&w->pax), key, value;

    while (rest.n > 0)
        if (!next_record(&rest, &key, &value) || !apply_record(e, key, value))
            return no_tar("an extended header can't be read, or is for a sparse file", err);
    qsort(e->xattrs, e->xattrs_n, sizeof *e->xattrs, compare_pax_names);
    return 0;
}

/* ---- entries ---- */

static bool
has_data(char type)
{
    return type < '1' || type > '6';
}

static void
expect_data(struct tar_walk *w, const struct tar_walk_entry *e)
{
    w->data = has_data(e->type) ? (uint64_t)e->size : 0;
    w->padding = (BLOCK - w->data % BLOCK) % BLOCK;
}

/* Reads a record for the next entry, or for all (docker ignores those too). Returns 1, 0 when it is
 * an entry, -1. */
static int
take_record(struct tar_walk *w, const struct tar_walk_entry *e, struct err *err)
{
    struct buf *into = e->type == 'x'   ? &w->pax
                       : e->type == 'L' ? &w->long_name
                       : e->type == 'K' ? &w->long_link
                                        : NULL;

    if (into == NULL)
        return e->type == 'g';
    return read_record(w, into, err) == 0 ? 1 : -1;
}

static void
apply_long(struct bytes *name, const struct buf *record)
{
    if (record->n > 0)
        *name = bytes_of(record->p, strnlen(record->p, record->n));
}

int
tar_walk_next(struct tar_walk *w, struct tar_walk_entry *e, struct err *err)
{
    int rc;

    buf_reset(&w->long_name);
    buf_reset(&w->long_link);
    buf_reset(&w->pax);
    do {
        if (skip_tar_data(w, &w->data, err) != 0 || skip_tar_data(w, &w->padding, err) != 0)
            return -1;
        rc = read_tar_block(w, err);
        if (rc != 1 || is_zero(w))
            return rc < 0 ? -1 : 0;
        if (!is_header(w))
            return no_tar("a header has a bad checksum", err);
        *e = (struct tar_walk_entry){.type = 0};
        if (read_tar_header(w, e, err) != 0)
            return -1;
        expect_data(w, e);
        if ((rc = take_record(w, e, err)) < 0)
            return -1;
    } while (rc == 1);
    if (e->type == 'S')
        return no_tar("it has a sparse file", err);
    if (apply_pax(w, e, err) != 0)
        return -1;
    apply_long(&e->name, &w->long_name);
    apply_long(&e->linkname, &w->long_link);
    expect_data(w, e);
    return 1;
}

int
tar_walk_data(struct tar_walk *w, struct bytes *piece, struct err *err)
{
    int rc;

    if (w->data == 0)
        return 0;
    rc = take_tar_bytes(w, w->data, piece, err);
    if (rc == 0)
        return no_tar("it ends within an entry", err);
    if (rc == 1)
        w->data -= piece->n;
    return rc;
}
