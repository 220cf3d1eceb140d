#include "domain/backup/store_copy.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "domain/backup/store_merge.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv_moment.h"
#include "storage/tables/tables.h"
#include "util/clock.h"
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

/* ---- of a remote store, which is read ---- */

struct remote_copy {
    const struct registry *reg;
    bool (*is_over)(void *arg);
    void *arg;
};

static bool
is_copy_over(void *arg)
{
    const struct remote_copy *c = arg;

    return c->is_over(c->arg);
}

static void
tell_nobody(void *arg, const char *table, uint64_t records)
{
    (void)arg;
    (void)table;
    (void)records;
}

static int
fill_copy(struct remote_copy *c, struct kv *to, struct err *err)
{
    struct store_merge m = {
        .from = c->reg->kv, .to = to, .is_over = is_copy_over, .tell = tell_nobody, .arg = c};

    kv_keep_room(to);
    return store_merge_run(&m, err) == 0 ? store_merge_verify(&m, err) : -1;
}

static int
copy_remote(struct remote_copy *c, const char *dir, uint64_t *moment_ms, struct err *err)
{
    struct err ignored;
    struct kv *to;
    int rc;

    if (kv_moment_begin(c->reg->kv, err) != 0)
        return -1;
    *moment_ms = clock_wall_ms();
    to = kv_backup_make(dir, tables, TABLE_COUNT, err);
    rc = to != NULL ? fill_copy(c, to, err) : -1;
    kv_moment_end(c->reg->kv);
    if (to == NULL)
        return -1;
    return kv_backup_made(to, rc == 0 ? err : &ignored) == 0 ? rc : -1;
}

/* ---- of each ---- */

static int
copy_store(const struct registry *reg, const char *dir, uint64_t *moment_ms,
           bool (*is_over)(void *arg), void *arg, struct err *err)
{
    struct remote_copy c = {reg, is_over, arg};

    if (kv_is_remote(reg->kv))
        return copy_remote(&c, dir, moment_ms, err);
    if (kv_backup_copy(reg->kv, dir, moment_ms, is_over, arg, err) != 0)
        return -1;
    return kv_backup_mend(dir, tables, TABLE_COUNT, err);
}

int
store_copy_make(const struct registry *reg, const char *dir, uint64_t *moment_ms,
                bool (*is_over)(void *arg), void *arg, struct err *err)
{
    uint64_t bytes = 0;
    struct err ignored;

    if (fdio_remove_tree(reg->dirfd, dir, err) != 0 ||
        (!kv_is_remote(reg->kv) && store_copy_measure(reg->dirfd, STORE, &bytes, err) != 0) ||
        disk_space_check(reg->dirfd, bytes, err) != 0)
        return -1;
    if (fdio_mkdir(reg->dirfd, dir, 0700, err) < 0)
        return err->sys == ENOENT ? err_set(err, ERR_SYSTEM,
                                            "there is no directory snapshots/: start the server of "
                                            "this version once")
                                  : -1;
    if (copy_store(reg, dir, moment_ms, is_over, arg, err) == 0)
        return 0;
    fdio_remove_tree(reg->dirfd, dir, &ignored);
    return -1;
}
