/* A layer: its compression, its tar, and the sums of it. */
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz.h"
#include "storage/layers/tar_walk.h"
#include "storage/layers/tarsum.h"

#define PIECES_MAX 100000

static size_t
touch(struct bytes b)
{
    size_t sum = 0;
    for (size_t i = 0; i < b.n; i++)
        sum += ((const unsigned char *)b.p)[i];
    return sum;
}

static void
walk(struct tar_walk *w)
{
    struct tar_walk_entry e;
    struct bytes piece;
    struct err err = {0};
    int rc = 0;
    size_t sum = 0;
    for (int i = 0; i < PIECES_MAX && (rc = tar_walk_next(w, &e, &err)) == 1; i++) {
        uint64_t n = 0;
        MUST(e.size >= 0 && e.xattrs_n <= TAR_WALK_XATTRS_MAX);
        sum += touch(e.name) + touch(e.linkname) + touch(e.uname) + touch(e.gname);
        for (size_t j = 0; j < e.xattrs_n; j++)
            sum += touch(e.xattrs[j].name) + touch(e.xattrs[j].value);
        for (int j = 0; j < 10 && tar_walk_data(w, &piece, &err) == 1; j++) {
            sum += touch(piece);
            n += piece.n;
        }
        MUST(n <= (uint64_t)e.size);
    }
    MUST(rc != -1 || (err.code != ERR_NONE && err.message[0] != '\0'));
    MUST(sum != 1); /* so that all of it is read */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int fd = memfd_create("layer", MFD_CLOEXEC);
    struct tarsum sum;
    struct err err = {0};
    MUST(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    struct tar_unpack *u = tar_unpack_open(fd, &err);
    if (u != NULL) {
        struct tar_walk *w = tar_walk_begin(u);
        MUST(w != NULL);
        walk(w);
        tar_walk_end(w);
        tar_unpack_close(u);
    }
    if (tarsum_here(fd, TARSUM_V1, bytes_str("{}"), &sum, &err) == 0)
        MUST(sum.computed == (sum.why[0] == '\0'));
    close(fd);
    return 0;
}
