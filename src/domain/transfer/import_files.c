#include "domain/transfer/import_files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/mem.h"

/* The longest path below the source. */
#define PATH_LENGTH_MAX 2048

/* A list of images has some hundred bytes for each. */
#define JSON_MAX ((size_t)16 << 20)
#define JSON_DEPTH_MAX 32

/* More names in a directory than there are tags in any repository. */
#define NAMES_MAX 2000000

int
import_files_tar(struct import_files *f, const struct import_access *access, int fd,
                 struct err *err)
{
    *f = (struct import_files){.access = access, .below = "", .fd = fd};
    f->tar = tar_files_open(fd, err);
    if (f->tar != NULL)
        return 0;
    fdio_close(fd);
    return -1;
}

void
import_files_dir(struct import_files *f, const struct import_access *access, const char *below)
{
    *f = (struct import_files){.access = access, .below = below, .fd = -1};
}

void
import_files_close(struct import_files *f)
{
    tar_files_close(f->tar);
    fdio_close(f->fd);
}

static int
unreadable(const char *name, const char *why, struct err *err)
{
    return err_set(err, ERR_NO_FILE, "%.150s can't be read: %s", name, why);
}

/* Opens the file of that name in the directory. 1, 0, -1. */
static int
open_below(const struct import_files *f, const char *name, int *fd, struct err *err)
{
    char path[PATH_LENGTH_MAX];

    if (snprintf(path, sizeof path, "%s%s", f->below, name) >= (int)sizeof path)
        return unreadable(name, "its path is too long", err);
    return f->access->open(f->access->arg, path, f->links, fd, err);
}

int
import_files_open(const struct import_files *f, const char *name, struct import_file *file,
                  struct err *err)
{
    struct stat st;
    int rc;

    *file = (struct import_file){.fd = -1};
    if (f->tar != NULL) {
        rc = tar_files_find(f->tar, name, &file->at, &file->size);
        if (rc == 0)
            return 0;
        file->twice = rc == 2;
        file->fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
        return file->fd >= 0 ? 1 : err_errno(err, "open a tar again");
    }
    rc = open_below(f, name, &file->fd, err);
    if (rc != 1)
        return rc;
    if (fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        import_files_shut(file);
        return unreadable(name, "it is not a regular file", err);
    }
    file->size = (uint64_t)st.st_size;
    return 1;
}

void
import_files_shut(struct import_file *file)
{
    fdio_close(file->fd);
    file->fd = -1;
}

int
import_files_bytes(const struct import_file *file, uint64_t from, void *p, size_t n,
                   struct err *err)
{
    ssize_t got = fdio_read_at(file->fd, p, n, file->at + from);

    if (got == (ssize_t)n)
        return 0;
    return err_set(err, ERR_NO_FILE, "a file can't be read: %s",
                   got < 0 ? strerror(errno) : "it became shorter");
}

int
import_files_append(const struct import_file *file, struct buf *out, struct err *err)
{
    char *p = file->size <= out->max ? buf_extend(out, (size_t)file->size) : NULL;

    if (p == NULL && file->size > 0)
        return err_set(err, ERR_TOO_LARGE, "it has more than %zu bytes", out->max);
    return import_files_bytes(file, 0, p, (size_t)file->size, err);
}

int
import_files_read(const struct import_files *f, const char *name, struct buf *out, struct err *err)
{
    struct import_file file;
    int rc = import_files_open(f, name, &file, err);

    buf_reset(out);
    if (rc != 1)
        return rc;
    if (file.twice)
        rc = err_set(err, ERR_BAD_IMAGE, "the tar has two files called %.150s", name);
    else if (import_files_append(&file, out, err) != 0)
        rc = err_set(err, err->code, "%.150s: %s", name, err->message);
    import_files_shut(&file);
    return rc;
}

int
import_files_json(const struct import_files *f, const char *name, struct json **out,
                  struct err *err)
{
    struct buf text;
    int rc;

    buf_init(&text, JSON_MAX);
    rc = import_files_read(f, name, &text, err);
    if (rc == 1 && json_parse(buf_bytes(&text), JSON_DEPTH_MAX, out, err) != 0)
        rc = err_set(err, ERR_BAD_IMAGE, "%.50s: %.200s", name, err->message);
    buf_free(&text);
    return rc;
}

/* ---- directories ---- */

struct names {
    char **v;
    size_t n;
    size_t room;
};

static void
add_name(struct names *l, const char *name)
{
    l->v = mem_grow(l->v, &l->room, l->n + 1, sizeof *l->v);
    l->v[l->n++] = mem_strdup(name);
}

static int
compare_file_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes fd. The directory isn't held open while its names are visited. */
static int
read_names(int fd, const char *directory, struct names *l, struct err *err)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *e;
    int rc = 0;

    if (dir == NULL) {
        unreadable(directory, strerror(errno), err);
        fdio_close(fd);
        return -1;
    }
    while (rc == 0 && (errno = 0, e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (l->n == NAMES_MAX)
            rc = unreadable(directory, "it has too many entries", err);
        else
            add_name(l, e->d_name);
    }
    if (rc == 0 && errno != 0)
        rc = unreadable(directory, strerror(errno), err);
    closedir(dir);
    if (l->n > 0)
        qsort(l->v, l->n, sizeof *l->v, compare_file_names);
    return rc;
}

/* The first part of each name. */
static void
collect_tar_names(const struct tar_files *tar, struct names *l)
{
    const char *path;

    for (size_t i = 0; (path = tar_files_name(tar, i)) != NULL; i++) {
        char name[TAR_FILES_NAME_MAX + 1];

        snprintf(name, sizeof name, "%.*s", (int)strcspn(path, "/"), path);
        if (name[0] != '.' && (l->n == 0 || strcmp(l->v[l->n - 1], name) != 0))
            add_name(l, name);
    }
}

int
import_files_each(const struct import_files *f, const char *directory,
                  int (*fn)(const char *name, void *arg, struct err *err), void *arg,
                  struct err *err)
{
    struct names l = {.v = NULL};
    int fd = -1, rc = f->tar != NULL ? 1 : open_below(f, directory, &fd, err);

    if (rc != 1)
        return rc;
    if (f->tar != NULL) {
        collect_tar_names(f->tar, &l);
        rc = 0;
    } else {
        rc = read_names(fd, directory, &l, err);
    }
    for (size_t i = 0; i < l.n && rc == 0; i++)
        rc = fn(l.v[i], arg, err);
    for (size_t i = 0; i < l.n; i++)
        free(l.v[i]);
    free(l.v);
    return rc < 0 ? -1 : 1;
}
