#include "storage/kv/bdb_blank.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "util/fdio.h"
#include "util/mem.h"

static int
open_page_file(const char *dir, const char *file, struct err *err)
{
    char path[4096];
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, file) >= sizeof path)
        return err_set(err, ERR_SYSTEM, "name too long: %s", dir);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 ? fd : err_errno(err, "cannot open %s", path);
}

static bool
is_blank_already(const struct bdb_blank *b, const char *file, uint32_t number)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].number == number && strcmp(b->v[i].file, file) == 0)
            return true;
    return false;
}

int
bdb_blank_page(struct bdb_blank *b, const char *dir, const char *file, uint32_t number,
               uint32_t size, struct err *err)
{
    struct bdb_blank_page *page = &b->v[b->n];
    const uint64_t at = (uint64_t)number * size;
    uint8_t *zeros;
    int fd, rc = 0;

    if (number == 0 || b->n == BDB_BLANK_MAX || is_blank_already(b, file, number) ||
        strlen(file) >= sizeof page->file)
        return err_set(err, ERR_CORRUPT, "page %u of %s is damaged", number, file);
    if ((fd = open_page_file(dir, file, err)) < 0)
        return -1;
    *page = (struct bdb_blank_page){.number = number, .size = size, .bytes = mem_alloc(size)};
    snprintf(page->file, sizeof page->file, "%s", file);
    zeros = mem_alloc(size);
    memset(zeros, 0, size);
    if (fdio_read_at(fd, page->bytes, size, at) != (ssize_t)size)
        rc = err_set(err, ERR_CORRUPT, "page %u of %s can't be read", number, file);
    if (rc == 0)
        rc = fdio_write_at(fd, zeros, size, at, file, err);
    if (rc == 0)
        b->n++;
    else
        free(page->bytes);
    free(zeros);
    fdio_close(fd);
    return rc;
}

int
bdb_blank_put_back(struct bdb_blank *b, const char *dir, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < b->n; i++) {
        struct bdb_blank_page *page = &b->v[i];
        int fd = rc == 0 ? open_page_file(dir, page->file, err) : -1;

        if (rc == 0)
            rc = fd < 0 ? -1
                        : fdio_write_at(fd, page->bytes, page->size,
                                        (uint64_t)page->number * page->size, page->file, err);
        fdio_close(fd);
        free(page->bytes);
    }
    b->n = 0;
    return rc;
}
