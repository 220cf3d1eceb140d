#include "domain/transfer/import.h"
#include <sys/stat.h>
#include "domain/transfer/import_archive.h"
#include "domain/transfer/import_layout.h"
#include "domain/transfer/import_listing.h"
#include "domain/transfer/import_name.h"
#include "domain/transfer/import_original.h"
#include "domain/transfer/import_registry.h"
#include "storage/layers/inflate.h"
#include "util/fdio.h"

/* Enough for more than 100,000 images. */
#define LISTING_MAX ((size_t)512 << 20)

static int
no_kind(const char *what, struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST,
                   "%s: it has to be a data directory of docker-registry, an OCI layout, what "
                   "\"docker save\" wrote, or a directory of the original docker-registry-server",
                   what);
}

/* ---- tars ---- */

/* Closes fd. */
static int
run_tar(struct import_store *s, int fd, const char *name, struct err *err)
{
    struct import_file file = {.fd = fd};
    struct import_files files;
    uint64_t at, size;
    char magic[6];
    int rc;

    if (import_files_bytes(&file, 0, magic, sizeof magic, err) != 0 ||
        inflate_detect(magic, sizeof magic) != INFLATE_PLAIN) {
        fdio_close(fd);
        return no_kind("this file is no tar, or compressed (unpack it with gzip -d or the like)",
                       err);
    }
    if (import_files_tar(&files, s->access, fd, err) != 0)
        return -1;
    if (tar_files_find(files.tar, "index.json", &at, &size) == 1)
        rc = import_layout_run(s, &files, name, err);
    else if (tar_files_find(files.tar, "manifest.json", &at, &size) == 1)
        rc = import_archive_run(s, &files, name, err);
    else
        rc = no_kind("this tar has neither index.json nor manifest.json", err);
    import_files_close(&files);
    return rc;
}

/* ---- directories ---- */

/* 1, 0, -1. */
static int
has_file(const struct import_store *s, const char *path, struct err *err)
{
    int fd, rc = s->access->open(s->access->arg, path, &fd, err);

    if (rc == 1)
        fdio_close(fd);
    return rc;
}

static int
run_original(struct import_store *s, const struct import_files *files, struct err *err)
{
    struct import_listing listing;
    struct import_file file = {.fd = -1};
    struct buf text;
    struct stat st;
    char *p;
    int rc = s->access->listing(s->access->arg, &file.fd, err);

    if (rc == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "this is a directory of the original: its database isn't read, so get a "
                       "listing from it while it runs, with contrib/original-listing, and name it "
                       "with --listing");
    if (rc < 0)
        return -1;
    buf_init(&text, LISTING_MAX);
    if (fstat(file.fd, &st) != 0 || !S_ISREG(st.st_mode))
        rc = err_set(err, ERR_NO_FILE, "the listing is no file");
    else if ((p = buf_extend(&text, (size_t)st.st_size)) == NULL)
        rc = err_set(err, ERR_TOO_LARGE, "the listing is too long");
    else
        rc = import_files_bytes(&file, 0, p, (size_t)st.st_size, err);
    fdio_close(file.fd);
    if (rc == 0)
        rc = import_listing_parse(&listing, buf_bytes(&text), err);
    if (rc == 0) {
        rc = import_original_run(s, files, &listing, err);
        import_listing_free(&listing);
    }
    buf_free(&text);
    return rc;
}

/* 1: it was a registry, and was imported. 0, -1. */
static int
run_registry(struct import_store *s, struct err *err)
{
    static const char *const levels[] = {"", "v2/", "registry/v2/", "docker/registry/v2/"};
    struct import_files files;
    char path[64];

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        int rc;

        snprintf(path, sizeof path, "%srepositories", levels[i]);
        rc = has_file(s, path, err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            continue;
        import_files_dir(&files, s->access, levels[i]);
        return import_registry_run(s, &files, err) == 0 ? 1 : -1;
    }
    return 0;
}

static int
run_directory(struct import_store *s, const char *name, struct err *err)
{
    struct import_files files;
    int rc;

    import_files_dir(&files, s->access, "");
    if ((rc = has_file(s, "index.json", err)) != 0)
        return rc < 0 ? -1 : import_layout_run(s, &files, name, err);
    if ((rc = has_file(s, "manifest.json", err)) != 0)
        return rc < 0 ? -1 : import_archive_run(s, &files, name, err);
    if ((rc = run_registry(s, err)) != 0)
        return rc < 0 ? -1 : 0;
    if ((rc = has_file(s, "layers/sha256", err)) != 0)
        return rc < 0 ? -1
                      : err_set(err, ERR_BAD_REQUEST,
                                "this is a data directory of this very program: serve it with "
                                "--dir, or copy its images with skopeo");
    if ((rc = has_file(s, "layers", err)) != 0)
        return rc < 0 ? -1 : run_original(s, &files, err);
    return no_kind("nothing is known by its looks", err);
}

int
import_run(const struct registry *reg, const struct import_access *access, const char *name,
           const char *prefix, struct import_counts *counts, struct err *err)
{
    char fallback[RECORD_REPOSITORY_MAX + 1];
    struct import_store s;
    struct stat st;
    int fd, rc;

    *counts = (struct import_counts){.of = "images"};
    if (!import_name_of_file(fallback, name))
        snprintf(fallback, sizeof fallback, "imported");
    rc = access->open(access->arg, "", &fd, err);
    if (rc != 1)
        return rc < 0 ? -1 : err_set(err, ERR_NO_FILE, "it isn't there");
    import_store_begin(&s, reg, access, prefix, counts);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        rc = run_tar(&s, fd, fallback, err);
    } else {
        fdio_close(fd);
        rc = run_directory(&s, fallback, err);
    }
    import_store_end(&s);
    return rc;
}
