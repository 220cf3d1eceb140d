#include "state.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "load.h"
#include "util/mem.h"

#define PAGE 4096u

/* ---- the record ---- */

const char *
state_name(const struct shim_event *e)
{
    return (const char *)(e + 1);
}

/* Names are as long as they are in the file: a copy with an end. */
static void
copy_name(const struct shim_event *e, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%.*s", (int)e->name_n, state_name(e));
}

const char *
state_data(const struct shim_event *e)
{
    return state_name(e) + e->name_n;
}

int
state_read(struct state_record *r, const char *path)
{
    struct stat st;
    size_t at = 0, room = 0;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *r = (struct state_record){0};
    if (fd < 0 || fstat(fd, &st) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    r->bytes = mem_alloc((size_t)st.st_size + 1);
    while (r->n < (size_t)st.st_size &&
           (got = read(fd, r->bytes + r->n, (size_t)st.st_size - r->n)) > 0)
        r->n += (size_t)got;
    close(fd);
    while (at + sizeof(struct shim_event) <= r->n) {
        const struct shim_event *e = (const struct shim_event *)(r->bytes + at);
        size_t whole = sizeof *e + e->name_n + e->data_n;

        if (at + whole > r->n)
            break; /* the program was killed while it wrote this */
        if (r->events == room) {
            room = room == 0 ? 1024 : 2 * room;
            r->v = mem_resize(r->v, room, sizeof *r->v);
        }
        r->v[r->events++] = e;
        at += whole;
    }
    return 0;
}

void
state_free(struct state_record *r)
{
    free(r->v);
    free(r->bytes);
}

/* ---- files ---- */

struct file {
    uint64_t number; /* of the inode */
    uint64_t serial; /* the same in each run */
    unsigned mode;
    size_t synced; /* the number of events before the last sync */
    char *bytes;
    uint64_t synced_n, n, room;
};

struct name {
    char *path;
    uint64_t file; /* 0: it is gone */
};

struct disk {
    struct file *files;
    size_t files_n, files_room;
    struct name *names;
    size_t names_n, names_room;
};

static struct file *
find_file(struct disk *d, uint64_t number)
{
    for (size_t i = d->files_n; i > 0; i--)
        if (d->files[i - 1].number == number)
            return &d->files[i - 1];
    return NULL;
}

static struct file *
add_file(struct disk *d, uint64_t number, unsigned mode)
{
    if (d->files_n == d->files_room) {
        d->files_room = d->files_room == 0 ? 64 : 2 * d->files_room;
        d->files = mem_resize(d->files, d->files_room, sizeof *d->files);
    }
    d->files[d->files_n] = (struct file){.number = number, .serial = d->files_n, .mode = mode};
    return &d->files[d->files_n++];
}

static struct name *
find_name(struct disk *d, const char *path, bool make)
{
    for (size_t i = 0; i < d->names_n; i++)
        if (strcmp(d->names[i].path, path) == 0)
            return &d->names[i];
    if (!make)
        return NULL;
    if (d->names_n == d->names_room) {
        d->names_room = d->names_room == 0 ? 64 : 2 * d->names_room;
        d->names = mem_resize(d->names, d->names_room, sizeof *d->names);
    }
    d->names[d->names_n] = (struct name){.path = mem_strdup(path)};
    return &d->names[d->names_n++];
}

static void
set_size(char **bytes, uint64_t *n, uint64_t *room, uint64_t size)
{
    if (size > *room) {
        *room = size + size / 2 + PAGE;
        *bytes = mem_resize(*bytes, *room, 1);
    }
    if (size > *n)
        memset(*bytes + *n, 0, size - *n);
    *n = size;
}

/* ---- the bytes of a file ---- */

/* One change of a file, whole or only in one page. */
static void
change_bytes(struct file *f, const struct shim_event *e, uint64_t page, bool one)
{
    uint64_t from = e->at, to = e->at + e->data_n;

    if (e->op != SHIM_WRITE)
        return;
    if (one && from < page * PAGE)
        from = page * PAGE;
    if (one && to > (page + 1) * PAGE)
        to = (page + 1) * PAGE;
    if (from >= to)
        return;
    if (to > f->n)
        set_size(&f->bytes, &f->n, &f->room, to);
    memcpy(f->bytes + from, state_data(e) + (from - e->at), to - from);
}

static void
change_size(struct file *f, const struct shim_event *e)
{
    uint64_t n = f->n;

    if (e->op == SHIM_TRUNCATE)
        n = e->at;
    else if (e->op == SHIM_GROW && e->at > n)
        n = e->at;
    else if (e->op == SHIM_WRITE && e->at + e->data_n > n)
        n = e->at + e->data_n;
    if (n != f->n)
        set_size(&f->bytes, &f->n, &f->room, n);
}

static bool
is_change(const struct shim_event *e)
{
    return e->op == SHIM_WRITE || e->op == SHIM_TRUNCATE || e->op == SHIM_GROW;
}

/* Page by page: how many of the changes since the sync each has. Cutting a file empties its pages,
 * and the length follows from a moment of its own. */
static void
choose_bytes(struct file *f, const struct shim_event **v, size_t n,
             const struct state_choice *choice)
{
    uint64_t size, seed = load_mix(choice->seed, f->serial);
    size_t first = choice->bytes == STATE_ALL    ? n
                   : choice->bytes == STATE_NONE ? 0
                                                 : load_mix(seed, 1) % (n + 1);
    bool is_random = choice->bytes == STATE_RANDOM;
    size_t sized = is_random ? load_mix(seed, 2) % (n + 1) : first;
    uint64_t pages = 0;

    if (!is_random || load_mix(seed, 3) % 2 == 0) { /* mostly the length is known early */
        sized = is_random ? n : sized;
    }
    for (size_t i = 0; i < n; i++)
        if (v[i]->op == SHIM_WRITE && (v[i]->at + v[i]->data_n + PAGE - 1) / PAGE > pages)
            pages = (v[i]->at + v[i]->data_n + PAGE - 1) / PAGE;
    for (uint64_t page = 0; page < pages; page++) {
        size_t most = is_random ? load_mix(seed, 100 + page) % (n + 1) : first;

        if (is_random && load_mix(seed, 99) % 3 == 0) /* or: nearly all, or nearly none */
            most = load_mix(seed, 100 + page) % 8 == 0 ? 0 : n;
        for (size_t i = 0; i < most; i++)
            change_bytes(f, v[i], page, true);
    }
    /* The length as of `sized` changes, from the length at the sync. */
    size = f->synced_n;
    for (size_t i = 0; i < sized; i++) {
        if (v[i]->op == SHIM_TRUNCATE)
            size = v[i]->at;
        else if (v[i]->op == SHIM_GROW && v[i]->at > size)
            size = v[i]->at;
        else if (v[i]->op == SHIM_WRITE && v[i]->at + v[i]->data_n > size)
            size = v[i]->at + v[i]->data_n;
    }
    set_size(&f->bytes, &f->n, &f->room, size);
}

/* ---- names ---- */

static bool
is_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    const char *slash = strrchr(path, '/');

    return n == 0 ? slash == NULL
                  : slash != NULL && (size_t)(slash - path) == n && strncmp(path, dir, n) == 0;
}

static void
change_names(struct disk *d, const struct shim_event *e)
{
    char path[PATH_MAX], to[PATH_MAX];
    struct name *old;
    uint64_t file;

    copy_name(e, path);
    if (e->op == SHIM_LINK) {
        find_name(d, path, true)->file = e->file;
    } else if (e->op == SHIM_UNLINK) {
        find_name(d, path, true)->file = 0;
    } else {
        snprintf(to, sizeof to, "%.*s", (int)e->data_n, state_data(e));
        old = find_name(d, path, true);
        file = old->file;
        old->file = 0;
        if (file != 0)
            find_name(d, to, true)->file = file;
    }
}

static bool
is_name(const struct shim_event *e)
{
    return e->op == SHIM_LINK || e->op == SHIM_UNLINK || e->op == SHIM_RENAME;
}

/* Was the directory of this event's name synced behind it? dirs: the path of each directory. */
static bool
is_name_synced(const struct state_record *r, size_t at, size_t end, struct disk *all)
{
    char path[PATH_MAX];

    copy_name(r->v[at], path);
    for (size_t i = at + 1; i < end; i++) {
        const struct shim_event *e = r->v[i];
        bool found = false;

        if (e->op != SHIM_SYNC)
            continue;
        /* The root has no event that makes it. */
        if (find_file(all, e->file) == NULL)
            found = is_in(path, "");
        for (size_t k = 0; !found && k < all->names_n; k++)
            found = all->names[k].file == e->file && is_in(path, all->names[k].path);
        if (found)
            return true;
    }
    return false;
}

/* ---- the whole ---- */

static void
free_disk(struct disk *d)
{
    for (size_t i = 0; i < d->files_n; i++)
        free(d->files[i].bytes);
    for (size_t i = 0; i < d->names_n; i++)
        free(d->names[i].path);
    free(d->files);
    free(d->names);
}

/* All files with what was synced, and behind that what is chosen. */
static void
play_bytes(struct disk *d, const struct state_record *r, const struct state_choice *choice)
{
    const struct shim_event **v = mem_array(r->events + 1, sizeof *v);

    for (size_t i = 0; i < choice->events; i++) {
        const struct shim_event *e = r->v[i];
        struct file *f;

        if (e->op == SHIM_CREATE) {
            add_file(d, e->file, (unsigned)e->at);
            continue;
        }
        f = e->file != 0 ? find_file(d, e->file) : NULL;
        if (f != NULL && e->op == SHIM_SYNC)
            f->synced = i;
        else if (f != NULL && e->op == SHIM_MODE)
            f->mode = (f->mode & S_IFMT) | (unsigned)e->at;
    }
    for (size_t k = 0; k < d->files_n; k++) {
        struct file *f = &d->files[k];
        size_t n = 0;

        if (S_ISDIR(f->mode))
            continue;
        for (size_t i = 0; i < choice->events; i++) {
            if (r->v[i]->file != f->number || !is_change(r->v[i]))
                continue;
            if (i < f->synced) {
                change_bytes(f, r->v[i], 0, false);
                change_size(f, r->v[i]);
            } else {
                v[n++] = r->v[i];
            }
        }
        f->synced_n = f->n;
        choose_bytes(f, v, n, choice);
    }
    free(v);
}

static void
play_names(struct disk *d, const struct state_record *r, const struct state_choice *choice)
{
    size_t forced = 0, open = 0, last;

    for (size_t i = 0; i < choice->events; i++)
        if (r->v[i]->op == SHIM_SYNC)
            forced = i;
    for (size_t i = forced; i < choice->events; i++)
        open += is_name(r->v[i]);
    last = choice->bytes == STATE_ALL ? open : load_mix(choice->seed, 7) % (open + 1);
    open = 0;
    for (size_t i = 0; i < choice->events; i++) {
        bool keep = true;

        if (!is_name(r->v[i]))
            continue;
        if (choice->names == STATE_JOURNAL)
            keep = i < forced || open++ < last;
        else if (choice->bytes != STATE_ALL && load_mix(choice->seed, 1000 + i) % 2 == 0)
            keep = is_name_synced(r, i, choice->events, d);
        if (keep)
            change_names(d, r->v[i]);
    }
}

static int
put_file(const char *path, const struct file *f)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, f->mode & 07777);
    int rc = fd >= 0 && fchmod(fd, f->mode & 07777) == 0 &&
                     write(fd, f->bytes == NULL ? "" : f->bytes, f->n) == (ssize_t)f->n
                 ? 0
                 : -1;

    if (rc != 0)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

static int
put_names(struct disk *d, const char *dir)
{
    char path[PATH_MAX], first[PATH_MAX];

    /* Directories come in the order in which they were made. A name in a directory that isn't
     * there is lost. */
    for (size_t i = 0; i < d->names_n; i++) {
        const struct name *n = &d->names[i];
        const struct file *f = n->file != 0 ? find_file(d, n->file) : NULL;

        if (f == NULL)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, n->path);
        if (S_ISDIR(f->mode)) {
            if (mkdir(path, f->mode & 07777) != 0 && errno != ENOENT)
                return -1;
            continue;
        }
        first[0] = '\0';
        for (size_t k = 0; k < i && first[0] == '\0'; k++)
            if (d->names[k].file == n->file)
                snprintf(first, sizeof first, "%s/%s", dir, d->names[k].path);
        if (first[0] != '\0' && link(first, path) == 0)
            continue;
        *strrchr(path, '/') = '\0';
        if (access(path, F_OK) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, n->path);
        if (put_file(path, f) != 0)
            return -1;
    }
    return 0;
}

int
state_make(const struct state_record *r, const struct state_choice *choice, const char *dir)
{
    struct disk d = {0};
    int rc;

    play_bytes(&d, r, choice);
    play_names(&d, r, choice);
    rc = put_names(&d, dir);
    free_disk(&d);
    return rc;
}
