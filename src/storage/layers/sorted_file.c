#include "storage/layers/sorted_file.h"
#include <sys/stat.h>
#include <zstd.h>
#include "util/fdio.h"
#include "util/mem.h"

/* Maximum of blocks in memory. */
#define CACHED 12

struct sorted_block {
    uint64_t offset;
    uint64_t used; /* the call of its last use */
    size_t n;
    uint8_t bytes[];
};

struct sorted_file {
    int fd;
    struct sorted_format_header header;
    struct sorted_block *cache[CACHED];
    uint64_t calls;
};

int
sorted_file_corrupt(struct err *err, const char *how)
{
    return err_set(err, ERR_CORRUPT, "an index is damaged: %s", how);
}

static int
read_index_bytes(int fd, uint8_t *p, size_t n, uint64_t at, struct err *err)
{
    ssize_t got = fdio_read_at(fd, p, n, at);

    if (got < 0)
        return err_errno(err, "cannot read an index");
    return (size_t)got == n ? 0 : sorted_file_corrupt(err, "it ends too early");
}

struct sorted_file *
sorted_file_open(int fd, struct err *err)
{
    uint8_t bytes[SORTED_FORMAT_HEADER];
    struct sorted_format_header header;
    struct sorted_file *f;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        err_errno(err, "cannot stat an index");
        return NULL;
    }
    if (read_index_bytes(fd, bytes, sizeof bytes, 0, err) != 0)
        return NULL;
    if (sorted_format_is_newer(bytes)) {
        err_set(err, ERR_UNSUPPORTED, "an index of a newer version");
        return NULL;
    }
    if (!sorted_format_get_header(&header, bytes) || (uint64_t)st.st_size != header.size) {
        sorted_file_corrupt(err, "its header, or its size");
        return NULL;
    }
    f = mem_alloc(sizeof *f);
    f->fd = fd;
    f->header = header;
    return f;
}

void
sorted_file_close(struct sorted_file *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < CACHED; i++)
        free(f->cache[i]);
    free(f);
}

/* Checks and decompresses a block that was read. Returns NULL on failure. */
static struct sorted_block *
unpack_sorted_block(const uint8_t *packed, struct sorted_format_place place, struct err *err)
{
    const uint8_t *body = packed + SORTED_FORMAT_BLOCK_HEADER;
    size_t body_n = place.length - SORTED_FORMAT_BLOCK_HEADER;
    struct sorted_block *b;
    uint32_t n;

    if (!sorted_format_open(packed, place.length, place.offset, &n)) {
        sorted_file_corrupt(err, "a checksum");
        return NULL;
    }
    if (n > SORTED_FORMAT_MAX || n < body_n) {
        sorted_file_corrupt(err, "a block's length");
        return NULL;
    }
    b = mem_resize(NULL, sizeof *b + n, 1);
    *b = (struct sorted_block){.offset = place.offset, .n = n};
    if (n == body_n) {
        memcpy(b->bytes, body, n);
    } else if (ZSTD_decompress(b->bytes, n, body, body_n) != n) {
        sorted_file_corrupt(err, "a block");
        free(b);
        return NULL;
    }
    return b;
}

static struct sorted_block *
read_sorted_block(struct sorted_file *f, struct sorted_format_place place, struct err *err)
{
    uint8_t small[SORTED_FORMAT_FULL], *packed = small;
    struct sorted_block *b = NULL;

    if (place.length < SORTED_FORMAT_BLOCK_HEADER ||
        place.length > SORTED_FORMAT_BLOCK_HEADER + SORTED_FORMAT_MAX ||
        place.offset < SORTED_FORMAT_HEADER || place.offset > f->header.size ||
        place.length > f->header.size - place.offset) {
        sorted_file_corrupt(err, "a block's place");
        return NULL;
    }
    if (place.length > sizeof small)
        packed = mem_resize(NULL, place.length, 1);
    if (read_index_bytes(f->fd, packed, place.length, place.offset, err) == 0)
        b = unpack_sorted_block(packed, place, err);
    if (packed != small)
        free(packed);
    return b;
}

static uint64_t
last_use(const struct sorted_file *f, size_t i)
{
    return f->cache[i] != NULL ? f->cache[i]->used : 0;
}

/* Gives a block from the cache, into which it is read if needed. The cache owns it, until it reads
 * another block. */
static struct sorted_block *
get_sorted_block(struct sorted_file *f, struct sorted_format_place place, struct err *err)
{
    struct sorted_block *b;
    size_t at = 0;

    f->calls++;
    for (size_t i = 0; i < CACHED; i++) {
        if (f->cache[i] != NULL && f->cache[i]->offset == place.offset) {
            f->cache[i]->used = f->calls;
            return f->cache[i];
        }
        if (last_use(f, i) < last_use(f, at))
            at = i;
    }
    b = read_sorted_block(f, place, err);
    if (b == NULL)
        return NULL;
    b->used = f->calls;
    free(f->cache[at]);
    f->cache[at] = b;
    return b;
}

/* Finds the last record in the block with a key not larger than `key`, or the first one if all are
 * larger. The keys read on the way must ascend, or the file is damaged. */
static int
find_last_not_above(const struct sorted_block *b, struct bytes key, size_t *found, struct err *err)
{
    struct bytes block = bytes_of(b->bytes, b->n), k, value;

    *found = 0;
    for (size_t at = 0; at < b->n;) {
        size_t start = at;

        if (!sorted_format_get_record(block, &at, &k, &value))
            return sorted_file_corrupt(err, "a record");
        if (bytes_compare(k, key) > 0)
            break;
        *found = start;
    }
    return 0;
}

/* The first key of the next block; n is 0 when there is none. */
struct next_key {
    size_t n;
    uint8_t key[SORTED_FORMAT_KEY_MAX];
};

/* Finds, in a block above the leaves, the block below for `key`, and the first key of the next one.
 * */
static int
find_place_below(const struct sorted_block *b, struct bytes key, struct sorted_format_place *below,
                 struct next_key *next, struct err *err)
{
    struct bytes block = bytes_of(b->bytes, b->n), k, value;
    size_t at;

    if (find_last_not_above(b, key, &at, err) != 0)
        return -1;
    if (!sorted_format_get_record(block, &at, &k, &value) ||
        !sorted_format_get_place(below, value) || below->offset >= b->offset)
        return sorted_file_corrupt(err, "a place");
    if (at == b->n)
        return 0;
    if (!sorted_format_get_record(block, &at, &k, &value))
        return sorted_file_corrupt(err, "a record");
    memcpy(next->key, k.p, k.n);
    next->n = k.n;
    return 0;
}

/* Descends to the leaf that has the key, or would have it. Returns 1, 0 when the file has no
 * records, -1. */
static int
find_leaf(struct sorted_file *f, struct bytes key, struct sorted_block **leaf,
          struct next_key *next, struct err *err)
{
    struct sorted_format_place place = f->header.root;

    if (f->header.height == 0)
        return 0;
    for (uint32_t level = f->header.height;; level--) {
        struct sorted_block *b = get_sorted_block(f, place, err);

        if (b == NULL)
            return -1;
        if (level == 1) {
            *leaf = b;
            return 1;
        }
        if (find_place_below(b, key, &place, next, err) != 0)
            return -1;
    }
}

int
sorted_file_floor(struct sorted_file *f, struct bytes key, struct bytes *found, struct bytes *value,
                  struct err *err)
{
    struct sorted_block *b;
    struct next_key next;
    int rc = find_leaf(f, key, &b, &next, err);
    size_t at;

    if (rc <= 0)
        return rc;
    if (find_last_not_above(b, key, &at, err) != 0)
        return -1;
    if (!sorted_format_get_record(bytes_of(b->bytes, b->n), &at, found, value))
        return sorted_file_corrupt(err, "a record");
    return bytes_compare(*found, key) <= 0;
}

int
sorted_file_get(struct sorted_file *f, struct bytes key, struct bytes *value, struct err *err)
{
    struct bytes found;
    int rc = sorted_file_floor(f, key, &found, value, err);

    return rc == 1 ? bytes_equal(found, key) : rc;
}

void
sorted_file_leave(struct sorted_cursor *c)
{
    free(c->block);
    c->block = NULL;
}

static struct sorted_block *
copy_sorted_block(const struct sorted_block *b)
{
    struct sorted_block *copy = mem_resize(NULL, sizeof *b + b->n, 1);

    memcpy(copy, b, sizeof *b + b->n);
    return copy;
}

/* Moves to the leaf for the key, before its first record. The leaf is copied, because the cache may
 * read other blocks meanwhile. `key` may be the cursor's own. */
static int
enter_leaf(struct sorted_cursor *c, struct bytes key, struct err *err)
{
    struct next_key next = {.n = 0};
    struct sorted_block *b;
    int rc = find_leaf(c->file, key, &b, &next, err);

    sorted_file_leave(c);
    if (rc <= 0)
        return rc;
    c->block = copy_sorted_block(b);
    c->at = 0;
    c->next_n = next.n;
    memcpy(c->next, next.key, next.n);
    return 0;
}

/* Skips the records below `key` in the leaf. */
static int
skip_below(struct sorted_cursor *c, struct bytes key, struct err *err)
{
    struct bytes k, value;

    while (c->block != NULL && c->at < c->block->n) {
        size_t at = c->at;

        if (!sorted_format_get_record(bytes_of(c->block->bytes, c->block->n), &at, &k, &value)) {
            sorted_file_leave(c);
            return sorted_file_corrupt(err, "a record");
        }
        if (bytes_compare(k, key) >= 0)
            break;
        c->at = at;
    }
    return 0;
}

int
sorted_file_seek(struct sorted_file *f, struct sorted_cursor *c, struct bytes key, struct err *err)
{
    *c = (struct sorted_cursor){.file = f};
    if (enter_leaf(c, key, err) != 0)
        return -1;
    return skip_below(c, key, err);
}

int
sorted_file_next(struct sorted_cursor *c, struct bytes *key, struct bytes *value, struct err *err)
{
    while (c->block != NULL && c->at == c->block->n) {
        if (c->next_n == 0)
            sorted_file_leave(c);
        else if (enter_leaf(c, bytes_of(c->next, c->next_n), err) != 0)
            return -1;
    }
    if (c->block == NULL)
        return 0;
    if (sorted_format_get_record(bytes_of(c->block->bytes, c->block->n), &c->at, key, value))
        return 1;
    sorted_file_leave(c);
    return sorted_file_corrupt(err, "a record");
}
