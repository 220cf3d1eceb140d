#include "process/commands/backup_helper.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "process/commands/backup_dir.h"
#include "process/commands/helper_process.h"
#include "process/commands/progress.h"
#include "storage/files/disk_space.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/file_lock.h"
#include "util/parse.h"

/* Requests: one of these, an argument, a blank and a name. */
#define HAVE 'h'      /* size in bytes */
#define HAVE_SAME 's' /* digest */
#define CREATE 'c'    /* mode */
#define KEEP 'k'
#define FINISH 'f'

#define LOCK_AGAIN_MS 50

#define PART "part" /* the file that has no name yet */

struct place {
    int dir;      /* of all backups; locked */
    int work;     /* the backup that is being made */
    int previous; /* the newest complete one; -1: there is none */
    struct backup_info previous_info;
    size_t keep;
    uint64_t size;                 /* of the file that was asked for last */
    char part[HELPER_REQUEST_MAX]; /* the name that PART gets; "": there is no PART */
};

/* ---- the helper ---- */

/* As fdio_open_parent, and makes the directories that are missing. */
static int
open_parent_made(int at, const char *name, const char **last)
{
    char path[HELPER_REQUEST_MAX + 1];
    int fd = fdio_open_parent(at, name, last);

    for (const char *slash = name;
         fd < 0 && errno == ENOENT && (slash = strchr(slash, '/')) != NULL; slash++) {
        const char *made;
        int parent;

        snprintf(path, sizeof path, "%.*s", (int)(slash - name), name);
        parent = fdio_open_parent(at, path, &made);
        if (parent < 0)
            return -1;
        mkdirat(parent, made, 0700);
        fdio_close(parent);
        errno = ENOENT;
    }
    return fd >= 0 ? fd : fdio_open_parent(at, name, last);
}

static bool
has_backup_file(int at, const char *name, uint64_t size)
{
    const char *last;
    struct stat st;
    int parent = fdio_open_parent(at, name, &last);
    bool has = parent >= 0 && fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;

    fdio_close(parent);
    return has;
}

/* Gives a file of the previous backup to this one, too. ENOENT: it has to be copied. */
static int
link_previous(struct place *p, const char *name)
{
    const char *last, *last_there;
    int here = open_parent_made(p->work, name, &last);
    int there = fdio_open_parent(p->previous, name, &last_there);
    bool linked = false;

    if (here >= 0 && there >= 0) {
        unlinkat(here, last, 0); /* a file of another size */
        linked = linkat(there, last_there, here, last, 0) == 0;
    }
    fdio_close(here);
    fdio_close(there);
    return linked ? 0 : ENOENT;
}

static int
have_blob(struct place *p, const char *argument, const char *name)
{
    uint64_t size;

    if (!parse_u64(argument, strlen(argument), &size))
        return EINVAL;
    p->size = size;
    if (has_backup_file(p->work, name, size))
        return 0;
    return p->previous >= 0 && has_backup_file(p->previous, name, size) ? link_previous(p, name)
                                                                        : ENOENT;
}

static int
have_same_file(struct place *p, const char *argument, const char *name)
{
    struct digest d;
    struct err ignored;

    if (digest_parse(&d, argument, strlen(argument), &ignored) != 0)
        return EINVAL;
    for (size_t i = 0; i < p->previous_info.files_n; i++) {
        const struct backup_file *f = &p->previous_info.files[i];

        if (strcmp(f->name, name) == 0 && digest_equal(&f->digest, &d) &&
            has_backup_file(p->previous, name, f->size))
            return link_previous(p, name);
    }
    return ENOENT;
}

/* The descriptor, or -1 and errno. */
static int
create_part(struct place *p, const char *argument, const char *name)
{
    mode_t mode = (mode_t)strtoul(argument, NULL, 8);
    struct err ignored;
    int fd;

    /* The backup may be on the disk of the registry, which is not to be filled. */
    if (disk_space_check(p->work, p->size, &ignored) != 0) {
        errno = ENOSPC;
        return -1;
    }
    p->size = 0;

    unlinkat(p->work, PART, 0);
    snprintf(p->part, sizeof p->part, "%s", name);
    fd = openat(p->work, PART, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        fchmod(fd, mode & 0777);
    return fd;
}

static int
keep_part(struct place *p)
{
    const char *last;
    int at, sys = 0;

    if (p->part[0] == '\0')
        return EINVAL;
    at = open_parent_made(p->work, p->part, &last);
    if (at < 0 || renameat(p->work, PART, at, last) != 0)
        sys = errno;
    fdio_close(at);
    p->part[0] = '\0';
    return sys;
}

static int
finish_place(struct place *p, const char *name)
{
    struct err err;

    if (!backup_info_is_time(name))
        return EINVAL;
    if (syncfs(p->work) != 0 || fdio_rename_new(p->dir, BACKUP_DIR_WORK, p->dir, name) != 0 ||
        fsync(p->dir) != 0)
        return errno;
    if (p->keep > 0 && backup_dir_trim(p->dir, p->keep, name, &err) != 0)
        fprintf(stderr, "docker-registry-server: older backups stay: %s\n", err.message);
    return 0;
}

/* Only below these directories, and backup.json. */
static bool
is_backup_path(const char *name)
{
    static const char *const below[] = {"layers/", "index/", "db/", "auth/", "hooks/"};
    bool allowed = strcmp(name, BACKUP_INFO_NAME) == 0;

    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        allowed = allowed || strncmp(name, below[i], strlen(below[i])) == 0;
    return allowed;
}

static void
serve_backup(int socket, void *arg)
{
    struct place *p = arg;
    char request[HELPER_REQUEST_MAX + 1];
    bool good = true;

    umask(0077);
    while (good && helper_process_next(socket, request)) {
        char *name = strchr(request, ' ');
        int fd = -1, sys = EINVAL;

        if (name != NULL)
            *name++ = '\0';
        if (request[0] == KEEP)
            sys = keep_part(p);
        else if (request[0] == FINISH && name != NULL)
            sys = finish_place(p, name);
        else if (name != NULL && is_backup_path(name) && request[0] == HAVE)
            sys = have_blob(p, request + 1, name);
        else if (name != NULL && is_backup_path(name) && request[0] == HAVE_SAME)
            sys = have_same_file(p, request + 1, name);
        else if (name != NULL && is_backup_path(name) && request[0] == CREATE)
            sys = (fd = create_part(p, request + 1, name)) >= 0 ? 0 : errno;
        good = helper_process_answer(socket, sys, fd);
        fdio_close(fd);
    }
}

/* ---- before it ---- */

/* The layers that an interrupted backup has copied stay. */
static int
prepare_work(struct place *p, struct err *err)
{
    static const char *const old[] = {"db", "auth", "hooks"};

    if (fdio_mkdir(p->dir, BACKUP_DIR_WORK, 0700, err) < 0)
        return -1;
    p->work = openat(p->dir, BACKUP_DIR_WORK, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (p->work < 0)
        return err_errno(err, "cannot open " BACKUP_DIR_WORK);
    unlinkat(p->work, BACKUP_INFO_NAME, 0);
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (fdio_remove_tree(p->work, old[i], err) != 0)
            return -1;
    return 0;
}

static int
find_previous(struct place *p, struct err *err)
{
    char name[BACKUP_TIME_MAX];
    int rc = backup_dir_newest(p->dir, name, err);

    if (rc != 1)
        return rc;
    p->previous = openat(p->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (p->previous < 0)
        return err_errno(err, "cannot open the backup %s", name);
    return backup_dir_info(p->dir, name, &p->previous_info, err) < 0 ? -1 : 0;
}

static int
find_newest_name(int dir, char newest[BACKUP_TIME_MAX], struct err *err)
{
    struct backup_dir_list l;
    int rc = backup_dir_list(dir, &l, err);

    snprintf(newest, BACKUP_TIME_MAX, "%s", l.n > 0 ? l.names[l.n - 1] : "");
    free(l.names);
    return rc;
}

/* Is the directory that one, or below it, by whatever name? 1, 0, -1 and errno. */
static int
is_below(int dir, const struct stat *top)
{
    struct stat here, before = {0};
    int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), up, rc = -1;

    while (at >= 0 && fstat(at, &here) == 0) {
        rc = here.st_dev == top->st_dev && here.st_ino == top->st_ino;
        if (rc == 1 || (here.st_dev == before.st_dev && here.st_ino == before.st_ino))
            break;
        before = here;
        rc = -1;
        up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        fdio_close(at);
        at = up;
    }
    fdio_close(at);
    return rc;
}

/* A backup in the data directory would be lost with it, and would be among the files that the
 * server looks after. */
static int
refuse_inside(const struct place *p, const char *dir, const char *registry, struct err *err)
{
    struct stat top;
    int rc;

    if (stat(registry, &top) != 0)
        return 0; /* that there is no registry is said later */
    rc = is_below(p->dir, &top);
    if (rc < 0)
        return err_errno(err, "cannot tell where %s is", dir);
    return rc == 0 ? 0
                   : err_set(err, ERR_BAD_REQUEST,
                             "%s is inside the data directory %s: name a directory elsewhere, "
                             "best on another disk",
                             dir, registry);
}

static void
name_other_backup(int fd, char out[32])
{
    pid_t pid = file_lock_holder(fd);

    out[0] = '\0';
    if (pid > 0)
        snprintf(out, 32, " (process %d)", (int)pid);
}

static int
lock_backup_place(int fd, const char *dir, uint64_t wait_ms, struct err *err)
{
    const uint64_t begun = clock_mono_ms();
    struct progress progress;
    char other[32] = "";
    int rc;

    progress_begin(&progress);
    while ((rc = file_lock_try(fd, NULL, dir, err)) == 0 && clock_mono_ms() - begun < wait_ms) {
        if (other[0] == '\0')
            name_other_backup(fd, other);
        progress_tell(&progress, "waiting for another backup to %s%s", dir, other);
        clock_sleep_ms(LOCK_AGAIN_MS);
    }
    progress_end(&progress);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    name_other_backup(fd, other);
    return err_set(err, ERR_BUSY, "another backup to %s is running%s", dir, other);
}

static int
open_place(struct place *p, const char *dir, const char *registry, uint64_t wait_ms,
           struct err *err)
{
    bool is_new = mkdir(dir, 0700) == 0;

    if (!is_new && errno == ENOENT)
        return err_set(err, ERR_BAD_REQUEST,
                       "cannot make directory %s: the directory above it is missing", dir);
    if (!is_new && errno != EEXIST)
        return err_errno(err, "cannot make directory %s", dir);
    p->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir < 0)
        return err_errno(err, "cannot open directory %s", dir);
    if (refuse_inside(p, dir, registry, err) != 0) {
        if (is_new)
            rmdir(dir);
        return -1;
    }
    if (faccessat(p->dir, "backup.json", F_OK, 0) == 0 || faccessat(p->dir, "db", F_OK, 0) == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s is a backup or a data directory: name a directory for backups", dir);
    if (lock_backup_place(p->dir, dir, wait_ms, err) != 0)
        return -1;
    return prepare_work(p, err) != 0 ? -1 : find_previous(p, err);
}

int
backup_helper_start(const char *dir, const char *registry, size_t keep, uint64_t wait_ms,
                    char newest[BACKUP_TIME_MAX], int *socket, struct err *err)
{
    struct place p = {.dir = -1, .work = -1, .previous = -1, .keep = keep};
    int *const kept[] = {&p.dir, &p.work, &p.previous};
    int rc = open_place(&p, dir, registry, wait_ms, err);

    *socket = -1;
    if (rc == 0)
        rc = find_newest_name(p.dir, newest, err);
    if (rc == 0)
        rc = helper_process_start(kept, 3, serve_backup, &p, socket, err);
    fdio_close(p.dir);
    fdio_close(p.work);
    fdio_close(p.previous);
    backup_info_free(&p.previous_info);
    return rc;
}

/* ---- who asks ---- */

static int
ask_backup_helper(void *arg, char what, const char *argument, const char *name, int *fd)
{
    char request[HELPER_REQUEST_MAX + 2];

    snprintf(request, sizeof request, "%c%s %s", what, argument, name);
    return helper_process_ask(*(const int *)arg, request, fd);
}

/* sys: the helper's answer. */
static int
helper_failed(int sys, const char *name, struct err *err)
{
    if (sys < 0)
        return err_set(err, ERR_BUSY, "the command that makes this backup has ended");
    errno = sys;
    return err_errno(err, "cannot write %s of the backup", name);
}

static int
judge_have(int sys, const char *name, struct err *err)
{
    if (sys == 0 || sys == ENOENT)
        return sys == 0;
    return helper_failed(sys, name, err);
}

int
backup_helper_have(void *arg, const char *name, uint64_t size, struct err *err)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)size);
    return judge_have(ask_backup_helper(arg, HAVE, text, name, NULL), name, err);
}

int
backup_helper_have_same(void *arg, const char *name, const struct digest *digest, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, digest);
    return judge_have(ask_backup_helper(arg, HAVE_SAME, text, name, NULL), name, err);
}

int
backup_helper_create(void *arg, const char *name, unsigned mode, int *fd, struct err *err)
{
    char text[16];
    int sys;

    *fd = -1;
    snprintf(text, sizeof text, "%o", mode);
    sys = ask_backup_helper(arg, CREATE, text, name, fd);
    return sys == 0 && *fd >= 0 ? 0 : helper_failed(sys == 0 ? EIO : sys, name, err);
}

int
backup_helper_keep(void *arg, struct err *err)
{
    int sys = ask_backup_helper(arg, KEEP, "", "", NULL);

    return sys == 0 ? 0 : helper_failed(sys, "a file", err);
}

int
backup_helper_finish(void *arg, const char *name, struct err *err)
{
    int sys = ask_backup_helper(arg, FINISH, "", name, NULL);

    if (sys == 0 || sys == EEXIST)
        return sys == 0;
    return helper_failed(sys, name, err);
}
