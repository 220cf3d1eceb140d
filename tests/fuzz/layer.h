#pragma once

#include <sys/mman.h>
#include <unistd.h>
#include "fuzz.h"
#include "storage/layers/layer_scan.h"
#include "util/buf.h"

/* The fuzzers of layers share these: tars from lines, files without a name, small limits. */

#define FUZZ_TAR_MAX ((size_t)1 << 20)

static inline int
fuzz_file(struct bytes b)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    MUST(fd >= 0 && write(fd, b.p, b.n) == (ssize_t)b.n);
    return fd;
}

/* Puts the right sum into a header. */
static inline void
fuzz_sum(char *h)
{
    unsigned sum = 0;

    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum & 0777777);
}

/* "f PATH TEXT", "d PATH", "l PATH TARGET", "h PATH TARGET", "p PATH"; anything else is nothing.
 * Paths and targets have 100 bytes at most. */
static inline void
fuzz_put_line(struct buf *tar, const char *line, size_t n)
{
    static const char kinds[] = "f0d5l2h1p6";
    const char *kind = n > 2 && line[0] != '\0' ? strchr(kinds, line[0]) : NULL, *path = line + 2;
    const char *rest;
    size_t path_n, rest_n;
    char *h;

    if (kind == NULL || (kind - kinds) % 2 != 0 || (h = buf_extend(tar, 1024)) == NULL)
        return;
    rest = memchr(path, ' ', n - 2);
    path_n = rest != NULL ? (size_t)(rest - path) : n - 2;
    rest_n = rest != NULL ? n - 3 - path_n : 0;
    rest_n = rest_n < 100 ? rest_n : 100;
    memset(h, 0, 1024);
    memcpy(h, path, path_n < 100 ? path_n : 100);
    memcpy(h + 100, "0000644\0000000000\0000000000\0", 24);
    memcpy(h + 136, "14000000000\0", 12);
    snprintf(h + 124, 12, "%011o", line[0] == 'f' ? (unsigned)rest_n : 0);
    h[156] = kind[1];
    memcpy(h + 257, "ustar\00000", 8);
    if (rest_n > 0)
        memcpy(line[0] == 'f' ? h + 512 : h + 157, rest + 1, rest_n);
    fuzz_sum(h);
    if (line[0] != 'f' || rest_n == 0)
        buf_cut(tar, tar->n - 512);
}

static inline struct layer_scan_limits
fuzz_limits(void)
{
    struct layer_scan_limits l = layer_scan_defaults;

    l.tree = (struct layer_limits){.entries = 2000, .names = 1u << 20, .depth = 64, .work = 100000};
    l.output = 4u << 20;
    l.memory = 8u << 20;
    l.spacing = 20000;
    return l;
}

/* Scans these bytes; the index is in order, or the layer is not browsable. *blob stays open. */
static inline struct layer_index *
fuzz_scan(struct bytes b, int *blob)
{
    struct layer_scan_limits limits = fuzz_limits();
    struct digest digest = {.algo = DIGEST_SHA256};
    int out = fuzz_file(bytes_of("", 0));
    struct layer_index *x;
    struct layer_info info;
    struct err err = {0};

    *blob = fuzz_file(b);
    MUST(layer_scan(*blob, &digest, out, &limits, &info, &err) == 0);
    x = layer_index_open(out, &err);
    MUST(x != NULL);
    MUST(info.browsable || info.remark[0] != '\0');
    MUST(info.names == layer_index_info(x)->names && info.size == layer_index_info(x)->size);
    MUST(strcmp(info.remark, layer_index_info(x)->remark) == 0);
    return x;
}
