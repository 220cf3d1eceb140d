#include "process/commands/import_helper.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "process/server/datadir.h"
#include "util/fdio.h"

#define REQUEST_MAX 4096

/* A request is one of these and a path. The answer is an errno, or 0, with a descriptor if there is
 * one. */
#define OPEN 'o'
#define FOLLOW 'f' /* as OPEN, also by symbolic links */
#define LISTING 'l'
#define LINK 'n'

/* ---- the helper ---- */

struct helper {
    int socket;
    int source;
    int listing; /* -1 */
    int dir;     /* the data directory */
    int last;    /* the descriptor opened last; -1 */
};

/* Opens an O_PATH descriptor for reading, if it is a file or directory. Opening anything else could
 * have effects. */
static int
reopen(int fd)
{
    struct stat st;
    char self[32];

    if (fstat(fd, &st) != 0)
        return -1;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        errno = S_ISLNK(st.st_mode) ? ELOOP : EINVAL;
        return -1;
    }
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static int
open_source(struct helper *h, const char *path, bool links)
{
    int at = h->source, sys;

    if (path[0] != '\0')
        at = fdio_open_beneath(h->source, path, links, O_PATH, 0);
    if (at < 0)
        return -1;
    fdio_close(h->last);
    h->last = reopen(at);
    sys = errno;
    if (at != h->source)
        fdio_close(at);
    errno = sys;
    return h->last;
}

/* 0, or errno. */
static int
link_last(const struct helper *h, const char *to)
{
    const char *last;
    char self[32];
    int at, sys = 0;

    if (h->last < 0 || strncmp(to, "layers/", strlen("layers/")) != 0)
        return EINVAL;
    at = fdio_open_parent(h->dir, to, &last);
    if (at < 0)
        return errno;
    snprintf(self, sizeof self, "/proc/self/fd/%d", h->last);
    if (linkat(AT_FDCWD, self, at, last, AT_SYMLINK_FOLLOW) != 0)
        sys = errno;
    fdio_close(at);
    return sys;
}

static bool
send_answer(int socket, int sys, int fd)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof fd)];
    } control = {.room = {0}};
    struct iovec v = {.iov_base = &sys, .iov_len = sizeof sys};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    if (sys == 0 && fd >= 0) {
        struct cmsghdr *c;

        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(socket, &m, MSG_NOSIGNAL) == (ssize_t)sizeof sys;
}

/* Serves requests until the socket is closed. */
static void
serve_requests(struct helper *h)
{
    char request[REQUEST_MAX + 1];
    bool good = true;

    while (good) {
        ssize_t n = recv(h->socket, request, REQUEST_MAX, 0);
        int fd = -1, sys = 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        request[n] = '\0';
        if (request[0] == OPEN || request[0] == FOLLOW)
            fd = open_source(h, request + 1, request[0] == FOLLOW);
        else if (request[0] == LISTING && h->listing >= 0)
            fd = reopen(h->listing);
        if (request[0] == LINK)
            sys = link_last(h, request + 1);
        else if (fd < 0)
            sys = request[0] == LISTING && h->listing < 0 ? ENOENT : errno;
        good = send_answer(h->socket, sys, fd);
        if (fd != h->last)
            fdio_close(fd);
    }
}

/* Moves the descriptors that it needs to 3, 4, ... in their order, and closes all others. */
_Noreturn static void
become(struct helper *h, pid_t parent)
{
    int *const keep[] = {&h->socket, &h->source, &h->listing, &h->dir};
    int high[4];

    signal(SIGPIPE, SIG_IGN);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(1);
    for (size_t i = 0; i < 4; i++)
        high[i] = *keep[i] >= 0 ? fcntl(*keep[i], F_DUPFD_CLOEXEC, 100) : -1;
    close_range(3, 6, 0); /* the caller's end of the socket may be among them */
    for (size_t i = 0; i < 4; i++)
        *keep[i] = high[i] >= 0 ? dup3(high[i], 3 + (int)i, O_CLOEXEC) : -1;
    close_range(7, ~0u, 0);
    close_range(0, 1, 0);
    serve_requests(h);
    _exit(0);
}

int
import_helper_start(const char *source, const char *listing, const char *dir, int *socket,
                    struct err *err)
{
    struct helper h = {.socket = -1, .source = -1, .listing = -1, .dir = -1, .last = -1};
    pid_t parent = getpid(), child = -1;
    int pair[2] = {-1, -1}, rc = 0;

    h.source = open(source, O_PATH | O_CLOEXEC);
    if (h.source < 0)
        rc = err_errno(err, "cannot open %s", source);
    if (rc == 0 && listing != NULL && (h.listing = open(listing, O_PATH | O_CLOEXEC)) < 0)
        rc = err_errno(err, "cannot open %s", listing);
    if (rc == 0 && (h.dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        rc = errno == ENOENT ? datadir_none(dir, err)
                             : err_errno(err, "cannot open the data directory %s", dir);
    if (rc == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        rc = err_errno(err, "cannot make a socket");
    h.socket = pair[1];
    if (rc == 0 && (child = fork()) < 0)
        rc = err_errno(err, "cannot start a process");
    if (child == 0)
        become(&h, parent);
    fdio_close(h.source);
    fdio_close(h.listing);
    fdio_close(h.dir);
    fdio_close(pair[1]);
    if (rc != 0)
        fdio_close(pair[0]);
    *socket = rc == 0 ? pair[0] : -1;
    return rc;
}

/* ---- who asks ---- */

/* The helper's errno; -1: the helper is gone. *fd is set if a descriptor came. */
static int
ask_helper(int socket, char what, const char *path, int *fd)
{
    char request[REQUEST_MAX];
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof *fd)];
    } control;
    int n = snprintf(request, sizeof request, "%c%s", what, path), sys;
    struct iovec v = {.iov_base = &sys, .iov_len = sizeof sys};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    const struct cmsghdr *c;
    ssize_t got;

    if (n >= (int)sizeof request)
        return ENAMETOOLONG;
    if (send(socket, request, (size_t)n, MSG_NOSIGNAL) != n)
        return -1;
    do
        got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof sys)
        return -1;
    c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
    return sys;
}

static int
helper_is_gone(struct err *err)
{
    return err_set(err, ERR_BUSY, "the command that uses this helper has ended");
}

static int
ask_for_file(int socket, char what, const char *path, int *fd, struct err *err)
{
    int got = -1, sys = ask_helper(socket, what, path, &got);

    if (sys < 0)
        return helper_is_gone(err);
    if (sys == 0 && got >= 0) {
        *fd = got;
        return 1;
    }
    if (sys == ENOENT || sys == ENOTDIR)
        return 0;
    if (path[0] == '\0')
        path = what == LISTING ? "the listing" : "the source";
    return err_set(err, ERR_NO_FILE, "%.150s can't be opened: %s", path,
                   sys == ELOOP    ? "it is a symbolic link, or its path has one"
                   : sys == EXDEV  ? "it leads out of what is imported"
                   : sys == EINVAL ? "it is neither a file nor a directory"
                                   : strerror(sys));
}

int
import_helper_open(void *arg, const char *path, bool links, int *fd, struct err *err)
{
    return ask_for_file(*(const int *)arg, links ? FOLLOW : OPEN, path, fd, err);
}

int
import_helper_listing(void *arg, int *fd, struct err *err)
{
    return ask_for_file(*(const int *)arg, LISTING, "", fd, err);
}

int
import_helper_link(void *arg, const char *to, struct err *err)
{
    int fd, sys = ask_helper(*(const int *)arg, LINK, to, &fd);

    if (sys < 0)
        return helper_is_gone(err);
    if (sys == ENOSPC || sys == EDQUOT) {
        errno = sys;
        return err_errno(err, "link %s", to);
    }
    return sys == 0; /* else it is copied */
}
