#include "storage/files/quarantine.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/blob_file.h"
#include "storage/files/blob_object.h"
#include "util/fdio.h"

#define NAME_ROOM 24

static void
name_quarantine(const struct blob_store *s, char out[NAME_ROOM])
{
    snprintf(out, NAME_ROOM, "%squarantine", blob_store_prefix(s));
}

struct held_files {
    size_t n;
    uint64_t bytes;
    char oldest[256];
    struct timespec since;
};

static int
look_at_held(int dirfd, struct held_files *f, struct err *err)
{
    DIR *d = fdio_opendir(dirfd, ".", err);
    struct stat st;

    *f = (struct held_files){.n = 0};
    if (d == NULL)
        return -1;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' || fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        f->bytes += (uint64_t)st.st_size;
        if (f->n++ == 0 || st.st_ctim.tv_sec < f->since.tv_sec ||
            (st.st_ctim.tv_sec == f->since.tv_sec && st.st_ctim.tv_nsec < f->since.tv_nsec)) {
            f->since = st.st_ctim;
            snprintf(f->oldest, sizeof f->oldest, "%s", e->d_name);
        }
    }
    closedir(d);
    return 0;
}

static int
remove_oldest(const struct blob_store *s, struct err *err)
{
    struct held_files f;
    char name[NAME_ROOM];
    int dirfd, rc;

    name_quarantine(s, name);
    dirfd = openat(blob_store_base(s), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return err_errno(err, "open %s", name);
    while ((rc = look_at_held(dirfd, &f, err)) == 0 &&
           (f.n > QUARANTINE_FILES || (f.n > 0 && f.bytes > QUARANTINE_BYTES)))
        if (unlinkat(dirfd, f.oldest, 0) != 0 && errno != ENOENT) {
            rc = err_errno(err, "unlink %s/%s", name, f.oldest);
            break;
        }
    fdio_close(dirfd);
    return rc;
}

int
quarantine_prepare(const struct blob_store *s, struct err *err)
{
    char name[NAME_ROOM];

    if (s->s3 != NULL)
        return 0;
    name_quarantine(s, name);
    return fdio_mkdir(blob_store_base(s), name, 0750, err) < 0 ? -1 : 0;
}

int
quarantine_put(const struct blob_store *s, const struct digest *d, uint64_t instance,
               struct err *err)
{
    char path[BLOB_FILE_PATH_MAX], from[BLOB_FILE_PATH_MAX + 16], to[BLOB_FILE_PATH_MAX + 32];
    char name[NAME_ROOM];
    int dir = blob_store_base(s);

    if (quarantine_prepare(s, err) != 0)
        return -1;
    name_quarantine(s, name);
    blob_file_path(path, d, instance);
    if (s->s3 != NULL)
        return blob_object_quarantine(s, path, QUARANTINE_FILES, QUARANTINE_BYTES, err);
    snprintf(from, sizeof from, "%s%s", blob_store_prefix(s), path);
    snprintf(to, sizeof to, "%s/%s", name, strrchr(path, '/') + 1);
    if (renameat(dir, from, dir, to) != 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot move %s to %s", from, name);
    return remove_oldest(s, err);
}
