#include "domain/transfer/import.h"
#include <sys/stat.h>
#include "domain/transfer/import_archive.h"
#include "domain/transfer/import_layout.h"
#include "domain/transfer/import_listing.h"
#include "domain/transfer/import_name.h"
#include "domain/transfer/import_original.h"
#include "domain/transfer/import_registry.h"
#include "domain/transfer/import_saved.h"
#include "domain/transfer/import_unpack.h"
#include "util/fdio.h"

/* Enough for more than 100,000 images. */
#define LISTING_MAX ((size_t)512 << 20)

/* 1, 0, -1. */
static int
has_file(const struct import_files *files, const char *name, struct err *err)
{
    struct import_file file;
    int rc = import_files_open(files, name, &file, err);

    import_files_shut(&file);
    return rc;
}

/* Docker's tars have a repeated layer as a symbolic link, also when they are unpacked. 1: it is of
 * such a kind, and was imported. 0, -1. */
static int
run_archive(struct import_store *s, const struct import_files *files, const char *name,
            struct err *err)
{
    struct import_files linked = *files;
    int rc;

    linked.links = true;
    if ((rc = has_file(files, "index.json", err)) != 0)
        return rc > 0 && import_layout_run(s, files, name, err) == 0 ? 1 : -1;
    if ((rc = has_file(&linked, "manifest.json", err)) != 0)
        return rc > 0 && import_archive_run(s, &linked, name, err) == 0 ? 1 : -1;
    return import_saved_run(s, &linked, name, err);
}

/* ---- files ---- */

/* Closes fd. */
static int
run_file(struct import_store *s, int fd, const char *name, struct err *err)
{
    struct import_file file = {.fd = fd};
    enum inflate_format format = INFLATE_PLAIN;
    struct import_files files;
    char magic[6];
    int rc;

    if (import_files_bytes(&file, 0, magic, sizeof magic, err) == 0)
        format = inflate_detect(magic, sizeof magic);
    if (format != INFLATE_PLAIN) {
        file.fd = import_unpack(s, fd, format, err);
        fdio_close(fd);
    }
    if (file.fd < 0 || import_files_tar(&files, s->access, file.fd, err) != 0)
        return -1;
    rc = run_archive(s, &files, name, err);
    import_files_close(&files);
    if (rc == 0)
        err_set(err, ERR_BAD_REQUEST,
                "this tar is of no known kind: it has no index.json (of an OCI layout), and no "
                "manifest.json or repositories (of \"docker save\")");
    return rc == 1 ? 0 : -1;
}

/* ---- directories ---- */

static int
has_directory(const struct import_store *s, const char *path, struct err *err)
{
    struct stat st;
    int fd, rc = s->access->open(s->access->arg, path, false, &fd, err);

    if (rc != 1)
        return rc;
    rc = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
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
    int rc = s->access->listing(s->access->arg, &file.fd, err);

    if (rc == 0)
        return err_set(
            err, ERR_BAD_REQUEST,
            "this is a directory of the original, whose database can't be read: make a listing "
            "with contrib/original-listing while the original runs, and give it with --listing");
    if (rc < 0)
        return -1;
    buf_init(&text, LISTING_MAX);
    if (fstat(file.fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = err_set(err, ERR_NO_FILE, "the listing is not a regular file");
    } else {
        file.size = (uint64_t)st.st_size;
        rc = import_files_append(&file, &text, err);
    }
    import_files_shut(&file);
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
        if ((rc = has_directory(s, path, err)) < 0)
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

    if ((rc = run_registry(s, err)) != 0)
        return rc < 0 ? -1 : 0;
    import_files_dir(&files, s->access, "");
    if ((rc = run_archive(s, &files, name, err)) != 0)
        return rc < 0 ? -1 : 0;
    if ((rc = has_directory(s, "layers/sha256", err)) != 0)
        return rc < 0 ? -1
                      : err_set(err, ERR_BAD_REQUEST,
                                "this is a data directory of this program: serve it with --dir, or "
                                "copy its images with skopeo");
    if ((rc = has_directory(s, "layers", err)) != 0)
        return rc < 0 ? -1 : run_original(s, &files, err);
    return err_set(err, ERR_BAD_REQUEST,
                   "this directory is of no known kind: it has no docker/registry/v2/repositories "
                   "(of docker-registry), no index.json (of an OCI layout), no manifest.json or "
                   "repositories (of \"docker save\"), and no layers (of the original)");
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
    rc = access->open(access->arg, "", false, &fd, err);
    if (rc != 1)
        return rc < 0 ? -1 : err_set(err, ERR_NO_FILE, "it isn't there");
    import_store_begin(&s, reg, access, prefix, counts);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        rc = run_file(&s, fd, fallback, err);
    } else {
        fdio_close(fd);
        rc = run_directory(&s, fallback, err);
    }
    import_store_end(&s);
    return rc;
}
