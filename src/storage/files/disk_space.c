#include "storage/files/disk_space.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/size_text.h"

#define RESERVE "db/reserve"
#define RESERVE_NEW "db/reserve.tmp"
#define MARGIN ((uint64_t)32 << 20)
#define MARGIN_PART 8 /* of a small file system: an eighth */

/* With twice this much beyond the margin, checks for at most this much look at the disk five times
 * a second, and not at each request. */
#define PLENTY ((uint64_t)1 << 30)
#define PLENTY_MS 200

static void
look_at_disk(int dirfd, uint64_t *left, uint64_t *margin)
{
    struct statvfs fs;
    uint64_t part;

    *left = UINT64_MAX;
    *margin = 0;
    if (fstatvfs(dirfd, &fs) != 0)
        return;
    part = (uint64_t)fs.f_blocks * fs.f_frsize / MARGIN_PART;
    *left = (uint64_t)fs.f_bavail * fs.f_frsize;
    *margin = part < MARGIN ? part : MARGIN;
}

uint64_t
disk_space_margin(int dirfd)
{
    uint64_t left, margin;

    look_at_disk(dirfd, &left, &margin);
    return margin;
}

uint64_t
disk_space_free(int dirfd)
{
    uint64_t left, margin;

    look_at_disk(dirfd, &left, &margin);
    return left;
}

static uint64_t kept_free;

void
disk_space_keep(uint64_t bytes)
{
    kept_free = bytes;
}

uint64_t
disk_space_needed(int dirfd)
{
    uint64_t margin = disk_space_margin(dirfd);

    return kept_free > margin ? kept_free : margin;
}

/* Directories whose disks had plenty of room at the last look: the next one is due at until_ms. A
 * process looks at three directories, the data directory, db/ and that of --blobs. */
static struct plenty {
    int dirfd;
    uint64_t until_ms;
} plenty_seen[3];

/* The entry of that directory, or the oldest one. */
static struct plenty *
find_plenty(int dirfd)
{
    struct plenty *oldest = &plenty_seen[0];

    for (size_t i = 0; i < sizeof plenty_seen / sizeof *plenty_seen; i++) {
        if (plenty_seen[i].dirfd == dirfd)
            return &plenty_seen[i];
        if (plenty_seen[i].until_ms < oldest->until_ms)
            oldest = &plenty_seen[i];
    }
    return oldest;
}

static int
check_space(int dirfd, uint64_t more, uint64_t kept, struct err *err)
{
    struct plenty *seen = find_plenty(dirfd);
    char size[SIZE_TEXT_MAX];
    uint64_t now = clock_mono_ms(), left, margin;
    bool is_plenty, is_kept;

    if (seen->dirfd == dirfd && now < seen->until_ms && more <= PLENTY)
        return 0;
    look_at_disk(dirfd, &left, &margin);
    is_kept = kept > margin && left >= margin;
    if (kept > margin)
        margin = kept;
    is_plenty = left >= margin && left - margin >= 2 * PLENTY;
    *seen = (struct plenty){dirfd, is_plenty ? now + PLENTY_MS : 0};
    if (left >= margin && left - margin >= more)
        return 0;
    size_text(size, more > 0 && left >= margin ? more : kept);
    if (more > 0 && left >= margin)
        return err_set(err, ERR_NO_SPACE, "the registry's disk has no room for %s", size);
    if (is_kept)
        return err_set(err, ERR_NO_SPACE, "the registry's disk is full: %s are kept free", size);
    return err_set(err, ERR_NO_SPACE, "the registry's disk is full");
}

int
disk_space_check(int dirfd, uint64_t more, struct err *err)
{
    return check_space(dirfd, more, kept_free, err);
}

int
disk_space_check_margin(int dirfd, struct err *err)
{
    return check_space(dirfd, 0, 0, err);
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
