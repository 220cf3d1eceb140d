#include "storage/layers/sorted_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "storage/layers/sorted_format.h"
#include "util/arena.h"
#include "util/mem.h"
#include "util/banned.h"

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

static int
corrupt_file(struct err *err, const char *how)
{
    return err_set(err, ERR_CORRUPT, "an index is damaged: %s", how);
}

static int
read_at(int fd, uint8_t *p, size_t n, uint64_t at, struct err *err)
{
    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "cannot read an index");
        if (got == 0)
            return corrupt_file(err, "it ends too early");
        p += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return 0;
}

struct sorted_file *
sorted_file_open(int fd, struct err *err)
{
    uint8_t header[SORTED_FORMAT_HEADER];
    struct sorted_file *f;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        err_errno(err, "cannot stat an index");
        return NULL;
    }
    if (read_at(fd, header, sizeof header, 0, err) != 0)
        return NULL;
    f = mem_alloc(sizeof *f);
    f->fd = fd;
    if (!sorted_format_get_header(&f->header, header)) {
        corrupt_file(err, "its header");
    } else if ((uint64_t)st.st_size != f->header.size) {
        corrupt_file(err, "its size");
    } else {
        return f;
    }
    free(f);
    return NULL;
}

void
sorted_file_forget(struct sorted_file *f)
{
    for (size_t i = 0; i < CACHED; i++)
        free(f->cache[i]);
    free(f);
}

void
sorted_file_close(struct sorted_file *f)
{
    if (f == NULL)
        return;
    close(f->fd);
    sorted_file_forget(f);
}

uint64_t
sorted_file_records(const struct sorted_file *f)
{
    return f->header.records;
}

/* Checks and decompresses a block that was read. Returns NULL on failure. */
static struct sorted_block *
unpack(const uint8_t *packed, struct sorted_format_place place, struct err *err)
{
    const uint8_t *body = packed + SORTED_FORMAT_BLOCK_HEADER;
    size_t body_n = place.length - SORTED_FORMAT_BLOCK_HEADER;
    struct sorted_block *b;
    uint32_t n;

    if (!sorted_format_open(packed, place.length, place.offset, &n)) {
        corrupt_file(err, "a checksum");
        return NULL;
    }
    if (n > SORTED_FORMAT_MAX || n < body_n) {
        corrupt_file(err, "a block's length");
        return NULL;
    }
    b = mem_alloc(sizeof *b + n);
    *b = (struct sorted_block){.offset = place.offset, .n = n};
    if (n == body_n) {
        memcpy(b->bytes, body, n);
    } else if (ZSTD_decompress(b->bytes, n, body, body_n) != n) {
        corrupt_file(err, "a block");
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
        corrupt_file(err, "a block's place");
        return NULL;
    }
    if (place.length > sizeof small)
        packed = mem_alloc(place.length);
    if (read_at(f->fd, packed, place.length, place.offset, err) == 0)
        b = unpack(packed, place, err);
    if (packed != small)
        free(packed);
    return b;
}

static uint64_t
used(const struct sorted_file *f, size_t i)
{
    return f->cache[i] != NULL ? f->cache[i]->used : 0;
}

/* Returns a block from the cache, which reads it if needed. The cache owns it, until it reads
 * another block. */
static struct sorted_block *
block_at(struct sorted_file *f, struct sorted_format_place place, struct err *err)
{
    struct sorted_block *b;
    size_t at = 0;

    f->calls++;
    for (size_t i = 0; i < CACHED; i++) {
        if (f->cache[i] != NULL && f->cache[i]->offset == place.offset) {
            f->cache[i]->used = f->calls;
            return f->cache[i];
        }
        if (used(f, i) < used(f, at))
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
last_not_above(const struct sorted_block *b, struct bytes key, size_t *found, struct err *err)
{
    struct bytes block = bytes_of(b->bytes, b->n), k, value;

    *found = 0;
    for (size_t at = 0; at < b->n;) {
        size_t start = at;

        if (!sorted_format_get_record(block, &at, &k, &value))
            return corrupt_file(err, "a record");
        if (sorted_format_compare(k, key) > 0)
            break;
        *found = start;
    }
    return 0;
}

/* The first key of the next block; n is 0 when there is none. */
struct next {
    size_t n;
    uint8_t key[SORTED_FILE_KEY_MAX];
};

/* Finds, in a block above the leaves, the block below for `key`, and the first key of the next one.
 * */
static int
place_below(const struct sorted_block *b, struct bytes key, struct sorted_format_place *below,
            struct next *next, struct err *err)
{
    struct bytes block = bytes_of(b->bytes, b->n), k, value;
    size_t at;

    if (last_not_above(b, key, &at, err) != 0)
        return -1;
    if (!sorted_format_get_record(block, &at, &k, &value) ||
        !sorted_format_get_place(below, value) || below->offset >= b->offset)
        return corrupt_file(err, "a place");
    if (at == b->n)
        return 0;
    if (!sorted_format_get_record(block, &at, &k, &value))
        return corrupt_file(err, "a record");
    memcpy(next->key, k.p, k.n);
    next->n = k.n;
    return 0;
}

/* Descends to the leaf that has the key, or would have it. Returns 1, 0 when the file has no
 * records, -1. */
static int
descend(struct sorted_file *f, struct bytes key, struct sorted_block **leaf, struct next *next,
        struct err *err)
{
    struct sorted_format_place place = f->header.root;

    if (f->header.height == 0)
        return 0;
    for (uint32_t level = f->header.height;; level--) {
        struct sorted_block *b = block_at(f, place, err);

        if (b == NULL)
            return -1;
        if (level == 1) {
            *leaf = b;
            return 1;
        }
        if (place_below(b, key, &place, next, err) != 0)
            return -1;
    }
}

int
sorted_file_floor(struct sorted_file *f, struct bytes key, struct bytes *found, struct bytes *value,
                  struct err *err)
{
    struct sorted_block *b;
    struct next next;
    int rc = descend(f, key, &b, &next, err);
    size_t at;

    if (rc <= 0)
        return rc;
    if (last_not_above(b, key, &at, err) != 0)
        return -1;
    if (!sorted_format_get_record(bytes_of(b->bytes, b->n), &at, found, value))
        return corrupt_file(err, "a record");
    return sorted_format_compare(*found, key) <= 0;
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
copy_of(const struct sorted_block *b)
{
    struct sorted_block *copy = mem_alloc(sizeof *b + b->n);

    memcpy(copy, b, sizeof *b + b->n);
    return copy;
}

/* Moves to the leaf for the key, before its first record. The leaf is copied, because the cache may
 * read other blocks meanwhile. `key` may be the cursor's own. */
static int
enter_leaf(struct sorted_cursor *c, struct bytes key, struct err *err)
{
    struct next next = {.n = 0};
    struct sorted_block *b;
    int rc = descend(c->file, key, &b, &next, err);

    sorted_file_leave(c);
    if (rc <= 0)
        return rc;
    c->block = copy_of(b);
    c->at = 0;
    c->next_n = next.n;
    memcpy(c->next, next.key, next.n);
    return 0;
}

/* Skips the records below `key` in the leaf. */
static int
pass_below(struct sorted_cursor *c, struct bytes key, struct err *err)
{
    struct bytes k, value;

    while (c->block != NULL && c->at < c->block->n) {
        size_t at = c->at;

        if (!sorted_format_get_record(bytes_of(c->block->bytes, c->block->n), &at, &k, &value)) {
            sorted_file_leave(c);
            return corrupt_file(err, "a record");
        }
        if (sorted_format_compare(k, key) >= 0)
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
    return pass_below(c, key, err);
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
    return corrupt_file(err, "a record");
}
