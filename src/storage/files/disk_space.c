#include "storage/files/disk_space.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/log.h"

#define RESERVE "db/reserve"
#define RESERVE_NEW "db/reserve.tmp"
#define MARGIN ((uint64_t)32 << 20)
#define MARGIN_PART 8 /* of a small file system: an eighth */

uint64_t
disk_space_margin(int dirfd)
{
    struct statvfs fs;
    uint64_t part;

    if (fstatvfs(dirfd, &fs) != 0)
        return 0;
    part = (uint64_t)fs.f_blocks * fs.f_frsize / MARGIN_PART;
    return part < MARGIN ? part : MARGIN;
}

uint64_t
disk_space_free(int dirfd)
{
    struct statvfs fs;

    return fstatvfs(dirfd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

int
disk_space_check(int dirfd, uint64_t more, struct err *err)
{
    uint64_t left = disk_space_free(dirfd);
    uint64_t margin = disk_space_margin(dirfd);

    if (left >= margin && left - margin >= more)
        return 0;
    if (more > 0 && left >= margin)
        return err_set(err, ERR_NO_SPACE, "the registry's disk has no room for %llu bytes",
                       (unsigned long long)more);
    return err_set(err, ERR_NO_SPACE, "the registry's disk is full");
}

/* ---- ballast ---- */

static uint64_t
ballast_size(int root)
{
    return disk_space_margin(root) / 2;
}

void
disk_space_give(int root)
{
    if (disk_space_free(root) < ballast_size(root) && unlinkat(root, RESERVE, 0) == 0)
        log_line(LOG_WARN, "the disk is full: giving up " RESERVE, NULL);
}

void
disk_space_save(int root)
{
    uint64_t size = ballast_size(root);
    struct stat st;
    bool is_made;
    int fd;

    if (fstatat(root, RESERVE, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
        disk_space_free(root) < disk_space_margin(root) + 2 * size)
        return;
    fd = openat(root, RESERVE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    is_made = fd >= 0 && posix_fallocate(fd, 0, (off_t)size) == 0 &&
              renameat(root, RESERVE_NEW, root, RESERVE) == 0;
    if (!is_made && fd >= 0)
        unlinkat(root, RESERVE_NEW, 0);
    fdio_close(fd);
}
