#include "process/server/privileges.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "process/options/options.h"

/* The C library has no function for this, and libcap would be a library for a single call. */
static int
set_capabilities(bool permitted, bool effective)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (permitted)
        data[0].permitted = 1u << CAP_DAC_READ_SEARCH;
    if (effective)
        data[0].effective = 1u << CAP_DAC_READ_SEARCH;
    return (int)syscall(SYS_capset, &header, data);
}

static void
put_user_name(uid_t uid, char *out, size_t n)
{
    const struct passwd *pw = getpwuid(uid);
    if (pw != NULL)
        snprintf(out, n, "%s", pw->pw_name);
    else
        snprintf(out, n, "user %lu", (unsigned long)uid);
}

int
privileges_plan(struct privileges *p, const char *run_as, struct err *err)
{
    const char *wanted;
    const struct passwd *pw;

    *p = (struct privileges){.root = geteuid() == 0, .uid = geteuid(), .gid = getegid()};
    put_user_name(p->uid, p->user, sizeof p->user);
    if (run_as == NULL && !p->root)
        return 0;

    wanted = run_as != NULL ? run_as : OPTIONS_RUN_AS;
    pw = getpwnam(wanted);
    if (pw == NULL)
        return err_set(err, ERR_SYSTEM, "there is no user %s to run as: %s", wanted,
                       run_as != NULL ? "make it, or give another with --run-as"
                                      : "give one with --run-as");
    if (!p->root && pw->pw_uid != p->uid)
        return err_set(err, ERR_SYSTEM,
                       "--run-as %s: only root can become another user, and this is %s; start it "
                       "as root, or leave --run-as out",
                       wanted, p->user);
    if (p->root) {
        p->uid = pw->pw_uid;
        p->gid = pw->pw_gid;
        snprintf(p->user, sizeof p->user, "%s", pw->pw_name);
        if (strlen(pw->pw_dir) < sizeof p->home)
            memcpy(p->home, pw->pw_dir, strlen(pw->pw_dir) + 1);
    }
    return 0;
}

/* Checks by trying: the way back must be refused. */
static int
no_way_back(const struct privileges *p)
{
    uid_t uid[3];
    gid_t gid[3];
    if (getresuid(&uid[0], &uid[1], &uid[2]) < 0 || getresgid(&gid[0], &gid[1], &gid[2]) < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        if (uid[i] != p->uid || gid[i] != p->gid)
            return -1;
    return setuid(0) < 0 && seteuid(0) < 0 && (p->gid == 0 || setegid(0) < 0) ? 0 : -1;
}

int
privileges_drop(struct privileges *p, bool keep_reading, struct err *err)
{
    if (!p->root || p->uid == 0)
        return 0;
    if (initgroups(p->user, p->gid) < 0 || setresgid(p->gid, p->gid, p->gid) < 0)
        return err_errno(err, "cannot take the groups of %s", p->user);
    if (keep_reading && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return err_errno(err, "cannot keep the right to read keys");
    if (setresuid(p->uid, p->uid, p->uid) < 0)
        return err_errno(err, "cannot become %s", p->user);
    if (set_capabilities(keep_reading, false) < 0)
        return err_errno(err, "cannot give up the rights of root");
    p->keeps = keep_reading;
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    if (no_way_back(p) < 0)
        return err_set(err, ERR_SYSTEM, "could become root again after becoming %s", p->user);
    /* The change of user has hidden the process from its own user in /proc. It knows nothing that
     * this user can't read below the data directory. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

void
privileges_reading(const struct privileges *p, bool on)
{
    if (p->keeps)
        set_capabilities(true, on);
}

int
privileges_forget(const struct privileges *p)
{
    return p->keeps ? set_capabilities(false, false) : 0;
}
