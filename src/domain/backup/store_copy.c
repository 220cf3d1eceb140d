#include "domain/backup/store_copy.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "storage/files/disk_space.h"
#include "storage/kv/kv_backup.h"
#include "storage/tables/tables.h"
#include "util/fdio.h"

#define STORE "db"
#define STORE_REGIONS "__db." /* the files that are no part of a copy */
#define STORE_RESERVE "reserve"

/* The library doesn't copy its regions. */
int
store_copy_measure(int root, const char *store, uint64_t *bytes, struct err *err)
{
    DIR *dir = fdio_opendir(root, store, err);
    struct stat st;

    *bytes = 0;
    if (dir == NULL)
        return -1;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strncmp(e->d_name, STORE_REGIONS, strlen(STORE_REGIONS)) != 0 &&
            strcmp(e->d_name, STORE_RESERVE) != 0 &&
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            *bytes += (uint64_t)st.st_blocks * 512; /* logs have holes */
    closedir(dir);
    return 0;
}

int
store_copy_make(const struct registry *reg, const char *dir, uint64_t *moment_ms,
                bool (*is_over)(void *arg), void *arg, struct err *err)
{
    uint64_t bytes;
    struct err ignored;

    if (fdio_remove_tree(reg->dirfd, dir, err) != 0 ||
        store_copy_measure(reg->dirfd, STORE, &bytes, err) != 0 ||
        disk_space_check(reg->dirfd, bytes, err) != 0)
        return -1;
    if (fdio_mkdir(reg->dirfd, dir, 0700, err) < 0)
        return err->sys == ENOENT ? err_set(err, ERR_SYSTEM,
                                            "there is no directory snapshots/: start the server of "
                                            "this version once")
                                  : -1;
    if (kv_backup_copy(reg->kv, dir, moment_ms, is_over, arg, err) == 0 &&
        kv_backup_mend(dir, tables, TABLE_COUNT, err) == 0)
        return 0;
    fdio_remove_tree(reg->dirfd, dir, &ignored);
    return -1;
}
