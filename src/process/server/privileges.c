#include "process/server/privileges.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "process/options/options.h"
#include "util/fdio.h"

/* The C library has no function for this, and libcap would be a library for a single call. */
static int
set_inheritable_capabilities(unsigned permitted, unsigned effective, unsigned inheritable)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.permitted = permitted, .effective = effective, .inheritable = inheritable}};

    return (int)syscall(SYS_capset, &header, data);
}

static int
set_capabilities(unsigned permitted, unsigned effective)
{
    return set_inheritable_capabilities(permitted, effective, 0);
}

/* The rights of `wanted` that this process has: in a container, root may have few. */
static unsigned
permitted_rights(unsigned wanted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    return syscall(SYS_capget, &header, data) == 0 ? data[0].permitted & wanted : 0;
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

/* Only ENXIO says that there is none: a chroot may have no /dev/tty. */
static bool
has_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    bool has = fd >= 0 || errno != ENXIO;

    fdio_close(fd);
    return has;
}

static int
plan_user(struct privileges *p, bool root, const char *run_as, struct err *err)
{
    const char *wanted;
    const struct passwd *pw;

    *p = (struct privileges){
        .root = root, .had_terminal = has_terminal(), .uid = geteuid(), .gid = getegid()};
    put_user_name(p->uid, p->user, sizeof p->user);
    if (run_as == NULL && !p->root)
        return 0;

    wanted = run_as != NULL ? run_as : OPTIONS_RUN_AS;
    pw = getpwnam(wanted);
    if (pw == NULL)
        return err_set(err, ERR_SYSTEM, "there is no user %s: %s", wanted,
                       run_as != NULL ? "create the user, or give another with --run-as"
                                      : "give a user with --run-as");
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

int
privileges_plan(struct privileges *p, const char *run_as, struct err *err)
{
    return plan_user(p, geteuid() == 0, run_as, err);
}

int
privileges_plan_again(struct privileges *p, const char *run_as, struct err *err)
{
    if (plan_user(p, true, run_as, err) != 0)
        return -1;
    return p->uid == geteuid()
               ? 0
               : err_set(err, ERR_SYSTEM, "this is not %s, as which the server runs", p->user);
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

/* Libraries and hooks look for files of their user there: libpq ends a connection with TLS if it
 * may not look into the home directory of root. */
static void
leave_home_of_root(const struct privileges *p)
{
    if (p->home[0] != '\0')
        setenv("HOME", p->home, 1);
    else
        unsetenv("HOME");
}

/* Being traced lets a process do all that the traced one can, and a core file has its memory: the
 * user's other processes could have both. Sanitizers trace the process that they check. */
static int
refuse_tracing(void)
{
#ifdef __SANITIZE_ADDRESS__
    return 0;
#else
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void
privileges_leave_session(const struct privileges *p)
{
    if (p->had_terminal)
        setsid();
    else
        setpgid(0, 0);
}

void
privileges_leave_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0 && getsid(0) != getpid())
        ioctl(fd, TIOCNOTTY);
    fdio_close(fd);
}

int
privileges_drop(struct privileges *p, unsigned keep, struct err *err)
{
    if (!p->root || p->uid == 0 || geteuid() != 0)
        return 0;
    keep = permitted_rights(keep);
    if (initgroups(p->user, p->gid) < 0 || setresgid(p->gid, p->gid, p->gid) < 0)
        return err_errno(err, "cannot take the groups of %s", p->user);
    if (keep != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return err_errno(err, "cannot keep rights of root");
    if (setresuid(p->uid, p->uid, p->uid) < 0)
        return err_errno(err, "cannot become %s", p->user);
    if (set_capabilities(keep, 0) < 0)
        return err_errno(err, "cannot give up the rights of root");
    p->kept = keep;
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    if (no_way_back(p) < 0)
        return err_set(err, ERR_SYSTEM, "could become root again after becoming %s", p->user);
    if (refuse_tracing() < 0)
        return err_errno(err, "cannot refuse to be traced");
    privileges_leave_terminal();
    leave_home_of_root(p);
    return 0;
}

int
privileges_drop_again(struct privileges *p, unsigned keep, struct err *err)
{
    if (!p->root || p->uid == 0)
        return 0;
    keep = permitted_rights(keep);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        set_capabilities(keep, 0) < 0)
        return err_errno(err, "cannot give up the rights of root");
    p->kept = keep;
    leave_home_of_root(p);
    return refuse_tracing() == 0 ? 0 : err_errno(err, "cannot refuse to be traced");
}

int
privileges_take_passed(struct privileges *p, struct err *err)
{
    if (p->root)
        return 0;
    p->kept = permitted_rights(PRIVILEGES_READ | PRIVILEGES_BIND | PRIVILEGES_SHIELDS);
    if (p->kept != 0 && (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
                         set_capabilities(p->kept, 0) < 0 || refuse_tracing() < 0))
        return err_errno(err, "cannot give up the rights that were passed on");
    return 0;
}

void
privileges_pass(const struct privileges *p, bool on)
{
    static const struct rlimit no_core;

    if (p->root && on)
        setrlimit(RLIMIT_CORE, &no_core);
    if (p->kept == 0)
        return;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (set_inheritable_capabilities(p->kept, 0, on ? p->kept : 0) < 0)
        return;
    for (unsigned right = 0; on && right < 32; right++)
        if ((p->kept >> right & 1) != 0)
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, right, 0, 0);
}

void
privileges_use(const struct privileges *p, unsigned rights)
{
    if (p->kept != 0)
        set_capabilities(p->kept, p->kept & rights);
}

int
privileges_keep(struct privileges *p, unsigned rights)
{
    bool had = p->kept != 0;

    p->kept &= rights;
    return had ? set_capabilities(p->kept, 0) : 0;
}

int
privileges_forget(const struct privileges *p)
{
    return p->kept != 0 ? set_capabilities(0, 0) : 0;
}

unsigned
privileges_shield(const struct privileges *p)
{
    unsigned kept = p->kept & PRIVILEGES_SHIELDS;

    return kept & ~PRIVILEGES_BIND ? kept & ~PRIVILEGES_BIND : kept;
}

int
privileges_shield_program(const struct privileges *p)
{
    static const struct rlimit no_core;
    unsigned shield = privileges_shield(p);

    if (!p->root || p->uid == 0)
        return 1;
    if (setrlimit(RLIMIT_CORE, &no_core) < 0 || set_inheritable_capabilities(shield, 0, shield) < 0)
        return -1;
    return shield != 0 &&
           prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, __builtin_ctz(shield), 0, 0) == 0;
}
