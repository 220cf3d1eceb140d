#include "process/commands/import_helper.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include "process/commands/helper_process.h"
#include "process/server/datadir.h"
#include "util/fdio.h"

/* A request is one of these and a path. */
#define OPEN 'o'
#define FOLLOW 'f' /* as OPEN, also by symbolic links */
#define LISTING 'l'
#define LINK 'n'

/* ---- the helper ---- */

struct helper {
    int source;
    int listing; /* -1 */
    int dir;     /* the data directory; -1: nothing is linked */
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

    if (h->last < 0 || h->dir < 0 || strncmp(to, "layers/", strlen("layers/")) != 0)
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

/* Serves requests until the socket is closed. */
static void
serve_import(int socket, void *arg)
{
    struct helper *h = arg;
    char request[HELPER_REQUEST_MAX + 1];
    bool good = true;

    while (good && helper_process_next(socket, request)) {
        int fd = -1, sys = 0;

        if (request[0] == OPEN || request[0] == FOLLOW)
            fd = open_source(h, request + 1, request[0] == FOLLOW);
        else if (request[0] == LISTING && h->listing >= 0)
            fd = reopen(h->listing);
        if (request[0] == LINK)
            sys = link_last(h, request + 1);
        else if (fd < 0)
            sys = request[0] == LISTING && h->listing < 0 ? ENOENT : errno;
        good = helper_process_answer(socket, sys, fd);
        if (fd != h->last)
            fdio_close(fd);
    }
}

int
import_helper_start(const char *source, const char *listing, const char *dir, int *socket,
                    struct err *err)
{
    struct helper h = {.source = -1, .listing = -1, .dir = -1, .last = -1};
    int *const keep[] = {&h.source, &h.listing, &h.dir};
    int rc = 0;

    *socket = -1;
    h.source = open(source, O_PATH | O_CLOEXEC);
    if (h.source < 0)
        rc = err_errno(err, "cannot open %s", source);
    if (rc == 0 && listing != NULL && (h.listing = open(listing, O_PATH | O_CLOEXEC)) < 0)
        rc = err_errno(err, "cannot open %s", listing);
    if (rc == 0 && dir != NULL && (h.dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        rc = errno == ENOENT ? datadir_none(dir, err)
                             : err_errno(err, "cannot open the data directory %s", dir);
    if (rc == 0)
        rc = helper_process_start(keep, 3, serve_import, &h, socket, err);
    fdio_close(h.source);
    fdio_close(h.listing);
    fdio_close(h.dir);
    return rc;
}

/* ---- who asks ---- */

static int
ask_import_helper(int socket, char what, const char *path, int *fd)
{
    char request[HELPER_REQUEST_MAX + 2];

    snprintf(request, sizeof request, "%c%s", what, path);
    return helper_process_ask(socket, request, fd);
}

static int
helper_is_gone(struct err *err)
{
    return err_set(err, ERR_BUSY, "the command that uses this helper has ended");
}

static int
ask_for_file(int socket, char what, const char *path, int *fd, struct err *err)
{
    int got = -1, sys = ask_import_helper(socket, what, path, &got);

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
    int fd, sys = ask_import_helper(*(const int *)arg, LINK, to, &fd);

    if (sys < 0)
        return helper_is_gone(err);
    if (sys == ENOSPC || sys == EDQUOT) {
        errno = sys;
        return err_errno(err, "link %s", to);
    }
    return sys == 0; /* else it is copied */
}
