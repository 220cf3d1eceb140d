#include "process/commands/export_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>
#include "storage/layers/tar_write.h"
#include "util/fdio.h"
#include "util/mem.h"
#include "util/parse.h"

/* Only the server's user may read the store, and only the caller may write to the directory. So one
 * process sends a tar, and another unpacks it. The tar comes from tar_write, perhaps of another
 * version of this program. The directory may belong to another user than the caller, and its names
 * may be exchanged meanwhile: nothing is made behind a symbolic link. */

#define BLOCK 512
#define INDEX "index.json"
#define INDEX_PART "index.json.part"
#define READ_SIZE ((size_t)256 << 10)

struct entry {
    char name[256];
    char type;
    uint64_t size;
};

struct in {
    int fd;
    int dir;
    char *room; /* READ_SIZE */
    bool whole; /* the index has come */
};

static int
ended(struct err *err)
{
    return err_set(err, ERR_BAD_SIZE, "the export ended too early");
}

static int
read_tar_bytes(struct in *in, void *p, size_t n, struct err *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = read(in->fd, (char *)p + done, n - done);
        if (got < 0 && errno != EINTR)
            return err_errno(err, "cannot read the export");
        if (got == 0)
            return ended(err);
        done += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

/* Finds the value of a pax record, in place; NULL: there is none. */
static char *
find_record(char *text, const char *key)
{
    char *value = strstr(text, key);
    return value != NULL ? value + strlen(key) : NULL;
}

/* A pax header; our tars use only size and path. */
static int
read_pax(struct in *in, uint64_t n, struct entry *e, struct err *err)
{
    char text[TAR_WRITE_HEADER_MAX + 1];
    size_t all = (size_t)n + tar_write_padding(n);
    const char *size, *path;

    if (n >= TAR_WRITE_HEADER_MAX)
        return err_set(err, ERR_CORRUPT, "the export has a header that is too long");
    if (read_tar_bytes(in, text, all, err) < 0)
        return -1;
    text[n] = '\0';
    size = find_record(text, " size=");
    path = find_record(text, " path=");
    if (size != NULL && !parse_u64(size, strcspn(size, "\n"), &e->size))
        return err_set(err, ERR_CORRUPT, "the export has an invalid size in a header");
    if (path != NULL)
        snprintf(e->name, sizeof e->name, "%.*s", (int)strcspn(path, "\n"), path);
    return 0;
}

static void
parse_entry_header(const char *block, struct entry *e)
{
    char digits[13];
    snprintf(digits, sizeof digits, "%.12s", block + 124);
    if (e->name[0] == '\0')
        snprintf(e->name, sizeof e->name, "%.100s", block);
    if (e->size == 0)
        e->size = strtoull(digits, NULL, 8);
    e->type = block[156];
}

/* 1, 0 at the end, -1. */
static int
next_entry(struct in *in, struct entry *e, struct err *err)
{
    static const char end[BLOCK];
    char block[BLOCK];
    *e = (struct entry){.type = 'x'};
    while (e->type == 'x') {
        struct entry pax = {.type = 'x'};
        if (read_tar_bytes(in, block, sizeof block, err) < 0)
            return -1;
        if (memcmp(block, end, sizeof block) == 0)
            return in->whole ? 0 : ended(err);
        if (block[156] != 'x') {
            parse_entry_header(block, e);
            break;
        }
        parse_entry_header(block, &pax);
        if (read_pax(in, pax.size, e, err) < 0)
            return -1;
    }
    return 1;
}

static bool
is_ours(const char *name)
{
    return name[0] != '/' && strstr(name, "..") == NULL &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-./")] == '\0';
}

static int
write_file(struct in *in, const struct entry *e, struct err *err)
{
    bool index = strcmp(e->name, INDEX) == 0;
    int fd = fdio_open_beneath(in->dir, index ? INDEX_PART : e->name, false,
                               O_WRONLY | O_CREAT | O_EXCL, 0666);
    int r;

    if (fd < 0)
        return err_errno(err, "cannot make %s", e->name);
    r = 0;
    for (uint64_t left = e->size; r == 0 && left > 0;) {
        size_t n = left < READ_SIZE ? (size_t)left : READ_SIZE;
        r = read_tar_bytes(in, in->room, n, err);
        if (r == 0)
            r = fdio_write_all(fd, in->room, n, e->name, err);
        left -= n;
    }
    if (r == 0)
        r = fdio_fsync(fd, e->name, err);
    fdio_close(fd);
    in->whole = index;
    return r < 0 ? -1 : read_tar_bytes(in, in->room, tar_write_padding(e->size), err);
}

static int
make_directory(const struct in *in, struct entry *e, struct err *err)
{
    size_t n = strlen(e->name);
    const char *last;
    int parent, r;

    if (n > 0 && e->name[n - 1] == '/')
        e->name[n - 1] = '\0';
    parent = fdio_open_parent(in->dir, e->name, &last);
    if (parent < 0)
        return err_errno(err, "cannot make %s", e->name);
    r = fdio_mkdir(parent, last, 0777, err);
    fdio_close(parent);
    return r;
}

static int
finish_directory(const struct in *in, struct err *err)
{
    static const char *const dirs[] = {"blobs/sha256", "blobs/sha512", "blobs", "."};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        if (faccessat(in->dir, dirs[i], F_OK, 0) == 0 && fdio_fsync_dir(in->dir, dirs[i], err) < 0)
            return -1;
    if (renameat(in->dir, INDEX_PART, in->dir, INDEX) < 0)
        return err_errno(err, "cannot rename %s", INDEX_PART);
    return fdio_fsync_dir(in->dir, ".", err);
}

static int
write_all(struct in *in, struct err *err)
{
    struct entry e;
    int r;
    while ((r = next_entry(in, &e, err)) == 1) {
        if (!is_ours(e.name))
            return err_set(err, ERR_CORRUPT, "the export has a file %s", e.name);
        if (e.type == '5')
            r = make_directory(in, &e, err);
        else
            r = write_file(in, &e, err);
        if (r < 0)
            return -1;
    }
    return r < 0 ? -1 : finish_directory(in, err);
}

int
export_dir_write(int dir, int from, struct err *err)
{
    struct in in = {.fd = from, .dir = dir, .room = mem_alloc(READ_SIZE)};
    int r = write_all(&in, err);
    free(in.room);
    return r;
}

void
export_dir_remove(int dir)
{
    static const char *const files[] = {INDEX, INDEX_PART, "oci-layout", "manifest.json"};
    struct err ignored;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlinkat(dir, files[i], 0);
    fdio_remove_tree(dir, "blobs", &ignored);
}
