#include "process/commands/export_target.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/commands/export_dir.h"
#include "util/fdio.h"
#include "util/mem.h"

/* The watching process removes partial output, so it does nothing that could fail or hang. One
 * child writes the tar, and may give up its rights for that. For a directory another child unpacks
 * it. */

/* A child at work. It sends its exit code and a message through the pipe. */
struct helper {
    pid_t pid; /* 0: none, or it has ended */
    int said;
    enum command_exit code;
    struct err err;
};

struct target {
    const char *path;
    int old;     /* opened with O_PATH: what is there already; -1: nothing */
    char *final; /* for a file: the target of a symbolic link */
    char *part;
    int fd;    /* the file or directory */
    bool made; /* the directory is */
    sigset_t before;
    struct helper writer, maker;
    int stopped_by; /* a signal */
};

/* ---- helpers ---- */

static void
send_outcome(int to, enum command_exit code, const struct err *err)
{
    char packet[1 + ERR_MESSAGE_MAX] = {(char)code};
    struct err ignored;
    if (code != COMMAND_DONE)
        memcpy(packet + 1, err->message, sizeof packet - 1);
    fdio_write_all(to, packet, sizeof packet, "a pipe", &ignored);
}

static void
read_part_message(struct helper *h, const char *what)
{
    char packet[1 + ERR_MESSAGE_MAX];
    if (read(h->said, packet, sizeof packet) == (ssize_t)sizeof packet) {
        h->code = (enum command_exit)packet[0];
        packet[sizeof packet - 1] = '\0';
        err_set_utf8(&h->err, ERR_SYSTEM, packet + 1);
    } else {
        h->code = COMMAND_FAILED;
        err_set(&h->err, ERR_SYSTEM, "the process that %s died", what);
    }
    fdio_close(h->said);
    h->pid = 0;
}

/* Forks. 1 in the child, which reports its result to *to; 0 in the parent; -1. */
static int
start_part(struct target *t, struct helper *h, int *to, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    fflush(NULL);
    h->pid = fork();
    if (h->pid < 0) {
        h->pid = 0;
        fdio_close(ends[0]);
        fdio_close(ends[1]);
        return err_errno(err, "cannot start a process");
    }
    if (h->pid == 0) {
        sigprocmask(SIG_SETMASK, &t->before, NULL);
        fdio_close(ends[0]);
        *to = ends[1];
        return 1;
    }
    fdio_close(ends[1]);
    h->said = ends[0];
    return 0;
}

static void
stop_part(const struct helper *h)
{
    if (h->pid > 0)
        kill(h->pid, SIGKILL);
}

static void
take_ended(struct helper *h, const char *what)
{
    int status;
    if (h->pid > 0 && waitpid(h->pid, &status, WNOHANG) == h->pid)
        read_part_message(h, what);
}

static void
wait_for_parts(struct target *t, const sigset_t *signals)
{
    while (t->writer.pid > 0 || t->maker.pid > 0) {
        int number = sigwaitinfo(signals, NULL);
        if (number > 0 && number != SIGCHLD) {
            t->stopped_by = number;
            stop_part(&t->writer);
            stop_part(&t->maker);
        }
        take_ended(&t->writer, "exports");
        take_ended(&t->maker, "writes files");
    }
}

/* ---- the file ---- */

static int
prepare_file(struct target *t, struct err *err)
{
    mode_t mask = umask(0);
    char self[32], name[PATH_MAX];
    ssize_t n;
    umask(mask);
    snprintf(self, sizeof self, "/proc/self/fd/%d", t->old);
    n = t->old >= 0 ? readlink(self, name, sizeof name - 1) : 0;
    if (n < 0)
        return err_errno(err, "cannot find %s", t->path);
    t->final = n > 0 ? mem_copy(name, (size_t)n) : mem_strdup(t->path);
    t->part = mem_printf("%s.XXXXXX", t->final);
    t->fd = mkostemp(t->part, O_CLOEXEC);
    if (t->fd < 0 || fchmod(t->fd, 0666 & ~mask) < 0)
        return err_errno(err, "cannot make %s", t->part);
    return 0;
}

static int
finish_file(struct target *t, struct err *err)
{
    if (fdio_fsync(t->fd, t->part, err) < 0)
        return -1;
    if (rename(t->part, t->final) < 0)
        return err_errno(err, "cannot rename %s to %s", t->part, t->final);
    t->part[0] = '\0';
    return fdio_fsync_dir(AT_FDCWD, dirname(t->final), err);
}

/* ---- the directory ---- */

static int
refuse_full(int fd, const char *path, struct err *err)
{
    int rc = fdio_is_empty(fd);

    if (rc < 0)
        return err_errno(err, "cannot read %s", path);
    return rc == 1 ? 0
                   : err_set(err, ERR_EXISTS, "%s isn't empty: export to a new or empty directory",
                             path);
}

static int
prepare_dir(struct target *t, struct err *err)
{
    int r = fdio_mkdir(AT_FDCWD, t->path, 0777, err);
    if (r < 0)
        return -1;
    t->made = r == 1;
    t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->fd < 0)
        return err_errno(err, "cannot open %s", t->path);
    /* Another export may be at work there, with nothing written yet. */
    if (flock(t->fd, LOCK_EX | LOCK_NB) < 0)
        return err_errno(err, "another export writes to %s", t->path);
    return refuse_full(t->fd, t->path, err);
}

/* In the parent 0, and *out is where the tar goes. */
static int
start_maker(struct target *t, int *out, struct err *err)
{
    int ends[2], to = -1;
    int r;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    r = start_part(t, &t->maker, &to, err);
    if (r == 1) {
        struct err why;
        fdio_close(ends[1]);
        r = export_dir_write(t->fd, ends[0], &why);
        send_outcome(to, r < 0 ? COMMAND_FAILED : COMMAND_DONE, &why);
        _exit(0);
    }
    fdio_close(ends[0]);
    *out = ends[1];
    if (r < 0)
        fdio_close(ends[1]);
    return r;
}

/* ---- all of it ---- */

/* Starts the children that are needed, and waits for them. */
static int
run_parts(struct target *t, bool dir, const sigset_t *signals,
          enum command_exit (*write)(void *arg, struct err *err), void *arg, struct err *err)
{
    int out = t->fd, to = -1;
    int r;

    if (dir && start_maker(t, &out, err) < 0)
        return -1;
    r = start_part(t, &t->writer, &to, err);
    if (r == 1) {
        struct err why = {.code = ERR_NONE};
        enum command_exit code = COMMAND_FAILED;
        if (dup2(out, STDOUT_FILENO) < 0)
            err_errno(&why, "cannot use a descriptor");
        else
            code = write(arg, &why);
        send_outcome(to, code, &why);
        _exit(0);
    }
    if (dir)
        fdio_close(out);
    wait_for_parts(t, signals);
    return r;
}

/* The child that failed first has the reason. The other one can then only report that its peer is
 * gone. */
static enum command_exit
judge_parts(const struct target *t, struct err *err)
{
    const struct helper *h = &t->writer;
    if (t->stopped_by != 0) {
        err_set(err, ERR_SYSTEM, "the export was interrupted");
        return COMMAND_FAILED;
    }
    if (t->maker.code != COMMAND_DONE &&
        (h->code == COMMAND_DONE || strstr(h->err.message, strerror(EPIPE)) != NULL))
        h = &t->maker;
    *err = h->err;
    return h->code;
}

static void
tidy_up(struct target *t, bool dir)
{
    if (dir && t->fd >= 0) {
        export_dir_remove(t->fd);
        if (t->made)
            rmdir(t->path);
    } else if (!dir && t->part != NULL && t->part[0] != '\0') {
        unlink(t->part);
    }
}

static enum command_exit
run_with_target(const char *path, int old, bool dir,
                enum command_exit (*write)(void *arg, struct err *err), void *arg, struct err *err)
{
    struct target t = {.path = path, .old = old, .fd = -1};
    enum command_exit code = COMMAND_FAILED;
    sigset_t signals;
    bool made;
    int r;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &t.before);
    r = dir ? prepare_dir(&t, err) : prepare_file(&t, err);
    made = r == 0;
    if (r == 0)
        r = run_parts(&t, dir, &signals, write, arg, err);
    if (r == 0)
        code = judge_parts(&t, err);
    if (code == COMMAND_DONE && !dir && finish_file(&t, err) < 0)
        code = COMMAND_FAILED;
    if (code != COMMAND_DONE && (made || !dir))
        tidy_up(&t, dir);
    sigprocmask(SIG_SETMASK, &t.before, NULL);
    fdio_close(t.fd);
    free(t.final);
    free(t.part);
    return code;
}

/* Writes to a device or a pipe. */
static enum command_exit
run_with_device(const char *path, int old, enum command_exit (*write)(void *arg, struct err *err),
                void *arg, struct err *err)
{
    char self[32];
    int fd;

    snprintf(self, sizeof self, "/proc/self/fd/%d", old);
    fd = open(self, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
        err_errno(err, "cannot write to %s", path);
        return COMMAND_FAILED;
    }
    return write(arg, err);
}

/* The path is followed once, by the kernel: in a directory that everybody may write to it doesn't
 * follow the links of others (proc(5), protected_symlinks), and what was found can't be exchanged.
 */
enum command_exit
export_target_run(const char *path, enum command_exit (*write)(void *arg, struct err *err),
                  void *arg, struct err *err)
{
    struct stat st = {.st_mode = 0};
    enum command_exit code = COMMAND_FAILED;
    int old = open(path, O_PATH | O_CLOEXEC);
    size_t n = strlen(path);

    if (old >= 0 ? fstat(old, &st) < 0 : errno != ENOENT)
        err_errno(err, "cannot write to %s", path);
    else if (old >= 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        code = run_with_device(path, old, write, arg, err);
    else
        code = run_with_target(path, old, S_ISDIR(st.st_mode) || (n > 0 && path[n - 1] == '/'),
                               write, arg, err);
    fdio_close(old);
    return code;
}
