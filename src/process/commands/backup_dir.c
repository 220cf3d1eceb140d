#include "process/commands/backup_dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/mem.h"

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

int
backup_dir_list(int dir, struct backup_dir_list *l, struct err *err)
{
    DIR *d = fdio_opendir(dir, ".", err);

    *l = (struct backup_dir_list){0};
    if (d == NULL)
        return -1;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!backup_info_is_time(e->d_name))
            continue;
        l->names = mem_grow(l->names, &l->room, l->n + 1, sizeof *l->names);
        snprintf(l->names[l->n++], BACKUP_TIME_MAX, "%.*s", BACKUP_TIME_MAX - 1, e->d_name);
    }
    closedir(d);
    if (l->n > 0)
        qsort(l->names, l->n, sizeof *l->names, compare_names);
    return 0;
}

int
backup_dir_info(int dir, const char *name, struct backup_info *info, struct err *err)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct buf text;
    int rc;

    *info = (struct backup_info){0};
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(err, "cannot open %s", name);
    buf_init(&text, BACKUP_INFO_BYTES_MAX);
    rc = fdio_read_file(fd, BACKUP_INFO_NAME, &text, err);
    if (rc == 1 && backup_info_read(info, buf_bytes(&text), name, err) != 0)
        rc = -1;
    buf_free(&text);
    fdio_close(fd);
    return rc;
}

/* The complete ones of the list, at its front. */
static size_t
keep_complete(int dir, struct backup_dir_list *l)
{
    struct backup_info info;
    struct err ignored;
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (backup_dir_info(dir, l->names[i], &info, &ignored) == 1)
            memmove(l->names[n++], l->names[i], BACKUP_TIME_MAX);
        backup_info_free(&info);
    }
    return n;
}

int
backup_dir_newest(int dir, char name[BACKUP_TIME_MAX], struct err *err)
{
    struct backup_dir_list l;
    size_t n = 0;
    int rc = backup_dir_list(dir, &l, err);

    if (rc == 0)
        n = keep_complete(dir, &l);
    if (n > 0)
        snprintf(name, BACKUP_TIME_MAX, "%s", l.names[n - 1]);
    free(l.names);
    return rc == 0 ? n > 0 : -1;
}

/* Its name changes first, so that half of a backup is never taken for one. */
static int
remove_backup(int dir, const char *name, struct err *err)
{
    char other[BACKUP_TIME_MAX + sizeof BACKUP_DIR_REMOVING];

    snprintf(other, sizeof other, "%s" BACKUP_DIR_REMOVING, name);
    if (renameat(dir, name, dir, other) != 0)
        return err_errno(err, "cannot rename the backup %s", name);
    return fdio_remove_tree(dir, other, err);
}

static int
remove_left_over(int dir, struct err *err)
{
    DIR *d = fdio_opendir(dir, ".", err);
    int rc = 0;

    if (d == NULL)
        return -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        const char *behind = strchr(e->d_name, '.');

        if (behind != NULL && strcmp(behind, BACKUP_DIR_REMOVING) == 0)
            rc = fdio_remove_tree(dir, e->d_name, err);
    }
    closedir(d);
    return rc;
}

int
backup_dir_trim(int dir, size_t keep, const char *made, struct err *err)
{
    struct backup_dir_list l;
    size_t n;
    int rc = remove_left_over(dir, err);

    if (rc != 0 || backup_dir_list(dir, &l, err) != 0)
        return -1;
    n = keep_complete(dir, &l);
    for (size_t i = 0; rc == 0 && i + keep < n; i++)
        if (strcmp(l.names[i], made) != 0)
            rc = remove_backup(dir, l.names[i], err);
    free(l.names);
    return rc;
}
