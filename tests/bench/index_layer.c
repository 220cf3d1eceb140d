/* Indexes a layer and reads out of it, for tests/bench/browse, and by hand:
 *
 *   index_layer scan LAYER INDEX         makes the index; prints what it is, seconds, peak memory
 *   index_layer list LAYER INDEX         prints all entries of this layer
 *   index_layer read LAYER INDEX PATH FROM N    writes these bytes to stdout, seconds to stderr */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "storage/layers/layer_path.h"
#include "storage/layers/layer_read.h"
#include "storage/layers/layer_scan.h"

static struct err err;

static _Noreturn void
fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, err.message);
    exit(1);
}

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
open_file(const char *name, int flags)
{
    int fd = open(name, flags | O_CLOEXEC, 0666);

    if (fd < 0) {
        err_errno(&err, "open");
        fail(name);
    }
    return fd;
}

static void
print_info(const struct layer_info *info)
{
    char diff_id[DIGEST_TEXT_MAX];

    digest_text(diff_id, &info->diff_id);
    printf("format %s\nbrowsable %d\nincomplete %d\nlayer_size %" PRIu64 "\nsize %" PRIu64
           "\nnames %" PRIu64 "\nfiles %" PRIu64 "\nfile_bytes %" PRIu64 "\nskipped %" PRIu64
           "\ndiff_id %s\nremark %s\n",
           inflate_format_name(info->format), info->browsable, info->incomplete, info->layer_size,
           info->size, info->names, info->files, info->file_bytes, info->skipped, diff_id,
           info->remark);
}

static void
scan(const char *layer, const char *index)
{
    struct digest digest = {.algo = DIGEST_NONE};
    int in = open_file(layer, O_RDONLY), out = open_file(index, O_RDWR | O_CREAT | O_TRUNC);
    double begin = seconds();
    struct layer_info info;
    struct rusage usage;
    struct stat st;

    if (layer_scan(in, &digest, out, &layer_scan_defaults, &info, &err) != 0)
        fail(layer);
    print_info(&info);
    printf("seconds %.3f\n", seconds() - begin);
    fstat(out, &st);
    getrusage(RUSAGE_SELF, &usage);
    printf("index_size %lld\npeak_kb %ld\n", (long long)st.st_size, usage.ru_maxrss);
    close(in);
    close(out);
}

static void
list(struct layer_index *x, uint32_t dir, const char *path)
{
    static const char types[] = "?fdlcbp";
    struct layer_index_list l;
    struct layer_entry e;
    char below[LAYER_PATH_MAX + 2];
    int rc;

    if (layer_index_list(x, dir, bytes_of("", 0), &l, &err) != 0)
        fail(path);
    while ((rc = layer_index_next(&l, &e, &err)) > 0) {
        printf("%c %x %04o %" PRIu64 ":%" PRIu64 " %" PRIu64 " %" PRId64 " %s%.*s %.*s\n",
               types[e.type], e.flags, e.mode, e.uid, e.gid, e.size, e.mtime, path, (int)e.name.n,
               (const char *)e.name.p, (int)e.link.n, (const char *)e.link.p);
        snprintf(below, sizeof below, "%s%.*s/", path, (int)e.name.n, (const char *)e.name.p);
        if (e.type == LAYER_DIR)
            list(x, e.dir, below);
    }
    if (rc < 0)
        fail(path);
    layer_index_leave(&l);
}

static int
write_out(void *arg, struct bytes b, struct err *e)
{
    (void)arg;
    return fwrite(b.p, 1, b.n, stdout) == b.n ? 0 : err_errno(e, "write");
}

static void
read_file(const char *layer, struct layer_index *x, const char *path, uint64_t from, uint64_t n)
{
    struct bytes rest = bytes_str(path), name;
    struct layer_entry e = {.dir = LAYER_INDEX_ROOT};
    double begin = seconds();
    int fd = open_file(layer, O_RDONLY);

    while (layer_path_next(&rest, &name))
        if (layer_index_get(x, e.dir, name, &e, &err) <= 0)
            fail(path);
    if (n > e.size - from)
        n = e.size - from;
    if (layer_read(fd, x, &e, from, n, &layer_read_defaults, write_out, NULL, &err) != 0)
        fail(path);
    fprintf(stderr, "seconds %.6f\n", seconds() - begin);
    close(fd);
}

int
main(int argc, char **argv)
{
    struct layer_index *x;

    if (argc < 4) {
        fprintf(stderr, "usage: index_layer scan|list|read LAYER INDEX [PATH FROM N]\n");
        return 2;
    }
    if (strcmp(argv[1], "scan") == 0) {
        scan(argv[2], argv[3]);
        return 0;
    }
    x = layer_index_open(open_file(argv[3], O_RDONLY), &err);
    if (x == NULL)
        fail(argv[3]);
    if (strcmp(argv[1], "list") == 0)
        list(x, LAYER_INDEX_ROOT, "");
    else if (strcmp(argv[1], "read") == 0 && argc == 7)
        read_file(argv[2], x, argv[4], strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10));
    layer_index_close(x);
    return 0;
}
