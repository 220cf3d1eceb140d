#include "storage/layers/tar_files.h"
#include <stdbool.h>
#include <sys/stat.h>
#include "storage/layers/tar_walk.h"
#include "util/mem.h"

/* Maximum of links that lead to links; docker uses one at most. */
#define HOPS_MAX 8

struct file {
    char *name;
    char *link; /* the name that it leads to; NULL: it is a file */
    uint64_t at;
    uint64_t size;
};

struct tar_files {
    struct file *v; /* sorted by name; of equal names the last entry first */
    size_t n;
    size_t room;
};

/* Resolves the path `text` in the directory `from` (without a slash at its end; NULL for the top).
 * Returns NULL when it leads out of the tar, is too long, or is empty. */
static char *
plain_name(const char *from, struct bytes text)
{
    char out[TAR_FILES_NAME_MAX + 2] = "";
    const char *p = text.p, *end = p + text.n;
    size_t n = 0;

    if (from != NULL)
        n = (size_t)snprintf(out, sizeof out, "%s", from);
    while (p < end) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        size_t length = (size_t)((slash != NULL ? slash : end) - p);

        if (length == 2 && memcmp(p, "..", 2) == 0) {
            if (n == 0)
                return NULL;
            while (n > 0 && out[--n] != '/')
                ;
        } else if (length > 0 && !(length == 1 && *p == '.')) {
            if (n + 1 + length > TAR_FILES_NAME_MAX || memchr(p, '\0', length) != NULL)
                return NULL;
            if (n > 0)
                out[n++] = '/';
            memcpy(out + n, p, length);
            n += length;
        }
        p += length + 1;
    }
    return n > 0 ? mem_copy(out, n) : NULL;
}

/* The target of a symbolic link is relative to its directory, that of a hard link to the top. */
static char *
link_target(const char *name, const struct tar_walk_entry *e)
{
    const char *slash = strrchr(name, '/');
    char from[TAR_FILES_NAME_MAX + 1] = "";
    const char *text = e->linkname.p;

    if (e->type == '1')
        return plain_name(NULL, e->linkname);
    if (e->linkname.n > 0 && text[0] == '/')
        return NULL;
    if (slash != NULL)
        snprintf(from, sizeof from, "%.*s", (int)(slash - name), name);
    return plain_name(from, e->linkname);
}

static void
add_file(struct tar_files *t, const struct file *f)
{
    t->v = mem_grow(t->v, &t->room, t->n + 1, sizeof *t->v);
    t->v[t->n++] = *f;
}

static int
note_tar_entry(struct tar_files *t, const struct tar_walk_entry *e, uint64_t at, uint64_t tar_size,
               struct err *err)
{
    bool linked = e->type == '1' || e->type == '2';
    struct file f = {.at = at, .size = (uint64_t)e->size};

    if (!linked && e->type != '0' && e->type != '\0' && e->type != '7')
        return 0;
    if (!linked && (at > tar_size || f.size > tar_size - at))
        return err_set(err, ERR_BAD_IMAGE, "the tar is cut short");
    f.name = plain_name(NULL, e->name);
    if (f.name == NULL)
        return 0; /* no client asks for it */
    if (linked && (f.link = link_target(f.name, e)) == NULL) {
        free(f.name);
        return 0;
    }
    add_file(t, &f);
    return 0;
}

/* Of equal names the later one, which counts, comes first. */
static int
compare_tar_names(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    int c = strcmp(x->name, y->name);

    return c != 0 ? c : (x->at < y->at) - (x->at > y->at);
}

static int
read_tar_entries(struct tar_files *t, struct tar_walk *w, uint64_t size, struct err *err)
{
    struct tar_walk_entry *e = mem_alloc(sizeof *e);
    size_t entries = 0;
    int rc = 0;

    while (rc == 0 && (rc = tar_walk_next(w, e, err)) == 1) {
        if (++entries > TAR_FILES_MAX)
            rc = err_set(err, ERR_BAD_IMAGE, "the tar has more than %d entries", TAR_FILES_MAX);
        else
            rc = note_tar_entry(t, e, tar_walk_position(w), size, err);
    }
    free(e);
    if (rc == 0 && entries == 0)
        rc = err_set(err, ERR_BAD_IMAGE, "it is not a tar, or an empty one");
    return rc;
}

struct tar_files *
tar_files_open(int fd, struct err *err)
{
    struct tar_files *t = mem_alloc(sizeof *t);
    struct tar_walk *w = tar_walk_begin_file(fd);
    struct stat st = {.st_size = 0};
    int rc;

    if (fstat(fd, &st) != 0)
        rc = err_errno(err, "cannot stat a tar");
    else
        rc = read_tar_entries(t, w, (uint64_t)st.st_size, err);
    tar_walk_end(w);
    if (rc != 0) {
        tar_files_close(t);
        return NULL;
    }
    if (t->n > 1)
        qsort(t->v, t->n, sizeof *t->v, compare_tar_names);
    return t;
}

void
tar_files_close(struct tar_files *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n; i++) {
        free(t->v[i].name);
        free(t->v[i].link);
    }
    free(t->v);
    free(t);
}

/* Returns the first entry of that name. */
static const struct file *
look_up(const struct tar_files *t, const char *name)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(t->v[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->n && strcmp(t->v[low].name, name) == 0 ? &t->v[low] : NULL;
}

int
tar_files_find(const struct tar_files *t, const char *name, uint64_t *at, uint64_t *size)
{
    const struct file *f = look_up(t, name);
    bool twice = f != NULL && f + 1 < t->v + t->n && strcmp(f[1].name, name) == 0;

    for (int hops = 0; f != NULL && f->link != NULL && hops < HOPS_MAX; hops++)
        f = look_up(t, f->link);
    if (f == NULL || f->link != NULL)
        return 0;
    *at = f->at;
    *size = f->size;
    return twice ? 2 : 1;
}

const char *
tar_files_name(const struct tar_files *t, size_t i)
{
    return i < t->n ? t->v[i].name : NULL;
}
