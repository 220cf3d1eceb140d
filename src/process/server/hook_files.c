#include "process/server/hook_files.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>
#include "process/server/runfile.h"
#include "util/log.h"

int
hook_files_check(const char *hooks, const char *user, struct err *err)
{
    char path[PATH_MAX];

    if (hooks == NULL)
        return 0;
    snprintf(path, sizeof path, "%s/.", hooks);
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
        return 0;
    return err_set(err, ERR_SYSTEM, "--hooks %s can't be entered by %s: %s (%s)", hooks, user,
                   strerror(errno),
                   errno == EACCES ? "let this user in" : "make it, or leave the option out");
}

bool
hook_files_look(struct hooks *hooks, int dirfd, bool before)
{
    static const enum hook pre[] = {HOOK_PRE_TAG, HOOK_PRE_DELETE};
    struct err err;
    bool asked = false;

    for (size_t i = 0; i < sizeof pre / sizeof *pre; i++)
        asked = hook_find(hooks, pre[i], &err) != 0 || asked;
    if (asked == before)
        return asked;
    if (!asked)
        unlinkat(dirfd, HOOK_FILES_ASKED, 0);
    else if (runfile_write(dirfd, HOOK_FILES_ASKED, bytes_of("", 0), &err) < 0)
        log_line(LOG_ERROR, "pre-hooks get no workers of their own", "why=%s", err.message);
    return asked;
}
