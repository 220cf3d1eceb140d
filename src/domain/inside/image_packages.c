#include "domain/inside/image_packages.h"
#include "util/buf.h"
#include "util/clock.h"

struct package_files {
    struct browse_image *im;
    struct arena *arena;
    struct packages *out;
    size_t bytes;   /* read so far */
    uint64_t until; /* by clock_mono_ms */
    struct buf text;
};

static int
add_package_bytes(void *arg, struct bytes b, struct err *err)
{
    struct package_files *f = arg;

    (void)err;
    buf_put(&f->text, b.p, b.n);
    return 0;
}

/* Reads a file into f->text. 1; 0: there is none, or it isn't read; -1. */
static int
read_package_file(struct package_files *f, struct bytes path, struct err *err)
{
    struct layer_merge_node node;
    int rc;

    do {
        buf_reset(&f->text);
        rc = browse_find(f->im, f->arena, path, true, &node, err);
        if (rc < 0 && err->code == ERR_NO_FILE)
            return 0; /* a circle of links */
        if (rc <= 0 || node.entry.type != LAYER_FILE)
            return rc < 0 ? -1 : 0;
        if (node.entry.size > IMAGE_PACKAGES_BYTES - f->bytes || clock_mono_ms() > f->until) {
            f->out->truncated = true;
            return 0;
        }
        rc = browse_read(f->im, &node, 0, node.entry.size, add_package_bytes, f, err);
    } while (rc != 0 && err->code == ERR_CORRUPT && browse_mend(f->im, err) == 0);
    f->bytes += f->text.n;
    return rc == 0 ? 1 : -1;
}

static int
parse_package_file(struct package_files *f, struct bytes path, enum package_kind kind,
                   struct err *err)
{
    int rc = read_package_file(f, path, err);

    return rc == 1 ? packages_parse(f->out, kind, buf_bytes(&f->text), f->arena, err) : rc;
}

/* ---- status.d ---- */

/* Beside the file of a package there may be one with the digests of its files. */
static bool
is_list_of_sums(struct bytes name)
{
    static const char end[] = ".md5sums";
    size_t n = sizeof end - 1;

    return name.n > n && memcmp((const char *)name.p + name.n - n, end, n) == 0;
}

/* Names of files are read first, since reading a file may replace the indexes. */
static int
list_package_files(struct package_files *f, const char *directory, const char **names, size_t *n,
                   struct err *err)
{
    struct layer_merge_node node;
    struct layer_merge_list *list;
    int rc = browse_find(f->im, f->arena, bytes_str(directory), true, &node, err);

    *n = 0;
    if (rc < 0 && err->code == ERR_NO_FILE)
        return 0;
    if (rc <= 0 || node.entry.type != LAYER_DIR)
        return rc < 0 ? -1 : 0;
    list = layer_merge_list(&f->im->merge, &node, bytes_of("", 0), err);
    if (list == NULL)
        return -1;
    while ((rc = layer_merge_next(list, &node, err)) > 0) {
        struct bytes name = node.entry.name;

        if (name.n > IMAGE_PACKAGES_NAME || is_list_of_sums(name))
            continue;
        f->out->truncated |= *n == IMAGE_PACKAGES_FILES;
        if (*n == IMAGE_PACKAGES_FILES)
            break;
        names[*n] = arena_printf(f->arena, "%s/%.*s", directory, (int)name.n, (const char *)name.p);
        if (names[(*n)++] == NULL) {
            layer_merge_leave(list);
            return arena_full(err);
        }
    }
    layer_merge_leave(list);
    return rc < 0 ? -1 : 0;
}

static int
parse_package_directory(struct package_files *f, const char *directory, struct err *err)
{
    const char **names = arena_array(f->arena, IMAGE_PACKAGES_FILES, sizeof *names);
    size_t n;
    int rc;

    if (names == NULL)
        return arena_full(err);
    do
        rc = list_package_files(f, directory, names, &n, err);
    while (rc < 0 && err->code == ERR_CORRUPT && browse_mend(f->im, err) == 0);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = parse_package_file(f, bytes_str(names[i]), PACKAGE_DEB, err);
    return rc;
}

int
image_packages_read(struct browse_image *im, struct arena *arena, struct packages *out,
                    struct err *err)
{
    struct package_files f = {
        .im = im, .arena = arena, .out = out, .until = clock_mono_ms() + IMAGE_PACKAGES_MS};
    size_t before;
    int rc;

    *out = (struct packages){.n = 0};
    buf_init(&f.text, IMAGE_PACKAGES_BYTES);
    rc = parse_package_file(&f, bytes_str("/var/lib/dpkg/status"), PACKAGE_DEB, err);
    if (rc == 0)
        rc = parse_package_directory(&f, "/var/lib/dpkg/status.d", err);
    before = out->n;
    if (rc == 0)
        rc = parse_package_file(&f, bytes_str("/lib/apk/db/installed"), PACKAGE_APK, err);
    if (rc == 0 && out->n == before) /* else /lib may be a link to /usr/lib */
        rc = parse_package_file(&f, bytes_str("/usr/lib/apk/db/installed"), PACKAGE_APK, err);
    buf_free(&f.text);
    packages_sort(out);
    return rc;
}
