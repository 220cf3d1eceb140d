#include "domain/events/hook.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/name.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"

#define SHELL "/bin/bash"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* Bytes that the kernel reads to find out the format of a file (BINPRM_BUF_SIZE). */
#define HEAD_MAX 256

static const char *const hook_names[HOOK_COUNT] = {
    [HOOK_IMAGE] = "image",           [HOOK_LAYER] = "layer",   [HOOK_VERIFY] = "verify",
    [HOOK_INDEX] = "index",           [HOOK_TAG] = "tag",       [HOOK_UNTAG] = "untag",
    [HOOK_MANIFEST] = "manifest",     [HOOK_DELETE] = "delete", [HOOK_PRE_TAG] = "pre-tag",
    [HOOK_PRE_DELETE] = "pre-delete", [HOOK_DAMAGE] = "damage",
};

const char *
hook_name(enum hook h)
{
    return hook_names[h];
}

bool
hook_parse(const char *name, enum hook *out)
{
    for (int i = 0; i < HOOK_COUNT; i++)
        if (strcmp(hook_names[i], name) == 0) {
            *out = (enum hook)i;
            return true;
        }
    return false;
}

enum hook
hook_of_event(enum event_type type)
{
    switch (type) {
    case EVENT_IMAGE:
        return HOOK_IMAGE;
    case EVENT_LAYER:
        return HOOK_LAYER;
    case EVENT_VERIFY:
        return HOOK_VERIFY;
    case EVENT_TAG:
        return HOOK_TAG;
    case EVENT_UNTAG:
        return HOOK_UNTAG;
    case EVENT_INDEX:
        return HOOK_INDEX;
    case EVENT_MANIFEST:
        return HOOK_MANIFEST;
    case EVENT_DAMAGE:
        return HOOK_DAMAGE;
    case EVENT_DELETE:
        break;
    }
    return HOOK_DELETE;
}

/* ---- is there one? ---- */

/* Logs a warning, once for each state of the file. */
static void
warn_of_hook(struct hooks *h, enum hook which, const struct stat *st, const struct err *err)
{
    struct hook_seen *seen = &h->seen[which];

    if (h->quiet || (seen->warned && seen->device == st->st_dev && seen->inode == st->st_ino &&
                     seen->changed.tv_sec == st->st_ctim.tv_sec &&
                     seen->changed.tv_nsec == st->st_ctim.tv_nsec))
        return;
    *seen = (struct hook_seen){true, st->st_dev, st->st_ino, st->st_ctim};
    log_line(LOG_WARN, "a hook can't be run", "hook=%s why=%s", hook_names[which], err->message);
}

/* The interpreter is the word after "#!". The kernel takes it as it is, with a carriage return if
 * there is one. */
static int
check_interpreter(const struct hooks *h, const char *path, char *line, struct err *err)
{
    char *name = line + 2 + strspn(line + 2, " \t");

    name[strcspn(name, " \t\n")] = '\0';
    if (*name == '\0')
        return err_set(err, ERR_SYSTEM, "%s: its first line names no interpreter after #!", path);
    if (faccessat(h->dirfd, name, X_OK, AT_EACCESS) == 0)
        return 0;
    if (name[strlen(name) - 1] == '\r')
        return err_set(err, ERR_SYSTEM,
                       "%s: its lines end in carriage returns, as on Windows: remove these", path);
    return err_errno(err, "%s: its interpreter %s can't be run", path, name);
}

/* Would the kernel execute this file? A file that we may execute but not read is assumed to be a
 * program. */
static int
check_hook_format(const struct hooks *h, const char *path, struct err *err)
{
    char head[HEAD_MAX + 1];
    int fd = openat(h->dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;

    if (fd < 0)
        return errno == EACCES ? 0 : err_errno(err, "%s", path);
    n = read(fd, head, HEAD_MAX);
    fdio_close(fd);
    if (n < 0)
        return err_errno(err, "%s", path);
    head[n] = '\0';
    if (n >= 4 && memcmp(head, "\177ELF", 4) == 0)
        return 0;
    if (n >= 2 && memcmp(head, "#!", 2) == 0)
        return check_interpreter(h, path, head, err);
    return err_set(err, ERR_SYSTEM,
                   "%s: it must begin with a line such as #!/bin/sh, or be a program", path);
}

int
hook_find(struct hooks *h, enum hook which, struct err *err)
{
    bool is_judge = which == HOOK_PRE_TAG || which == HOOK_PRE_DELETE;
    char path[PATH_MAX];
    struct stat st = {0};
    int rc = -1;

    if (h->scripts[which] != NULL) {
        if (access(SHELL, X_OK) == 0)
            return 1;
        err_errno(err, "--on-%s needs " SHELL, hook_names[which]);
        warn_of_hook(h, which, &st, err);
        return -1;
    }
    if ((size_t)snprintf(path, sizeof path, "%s/%s", h->dir, hook_names[which]) >= sizeof path)
        return err_set(err, ERR_SYSTEM, "the name of the directory with the hooks is too long");
    if (fstatat(h->dirfd, path, &st, 0) != 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR;

        err_errno(err, "cannot look at %s", path);
        if (is_missing && fstatat(h->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (!is_judge || !h->dir_named || faccessat(h->dirfd, h->dir, F_OK, 0) == 0)
                return 0;
            err_set(err, ERR_SYSTEM, "%s, the directory of --hooks, is missing", h->dir);
        } else if (is_missing) {
            err_set(err, ERR_SYSTEM, "%s is a link that leads nowhere", path);
        }
    } else if (!S_ISREG(st.st_mode)) {
        err_set(err, ERR_SYSTEM, "%s is not a regular file", path);
    } else if (faccessat(h->dirfd, path, X_OK, AT_EACCESS) != 0) {
        err_set(err, ERR_SYSTEM, "%s is not executable for the registry's user, so %s (chmod +x)",
                path, is_judge ? "everything is refused" : "it is not used");
        rc = is_judge ? -1 : 0;
    } else if (check_hook_format(h, path, err) == 0) {
        return 1;
    }
    warn_of_hook(h, which, &st, err);
    return rc;
}

void
hook_forget(struct hooks *h)
{
    for (int i = 0; i < HOOK_COUNT; i++)
        h->seen[i].warned = false;
}

/* ---- how it is called ---- */

void
hook_short_name(char out[HOOK_SHORT_MAX], const char *repository, const char *tag)
{
    snprintf(out, HOOK_SHORT_MAX, "%s%s%s", name_short(repository),
             *tag != '\0' && strcmp(tag, "latest") != 0 ? ":" : "",
             strcmp(tag, "latest") != 0 ? tag : "");
}

void
hook_arguments_of(struct hook_arguments *a, enum hook which, const struct rec_event *e)
{
    char text[DIGEST_TEXT_MAX];
    bool about_tag = which == HOOK_TAG || which == HOOK_UNTAG || which == HOOK_PRE_TAG ||
                     (which == HOOK_PRE_DELETE && e->tag[0] != '\0');
    bool about_manifest =
        which == HOOK_MANIFEST || which == HOOK_DELETE || (which == HOOK_PRE_DELETE && !about_tag);

    digest_hex(a->id, &e->id);
    a->about[0] = '\0';
    if (about_tag) {
        hook_short_name(a->about, e->repository, e->tag);
    } else if (about_manifest) {
        digest_text(text, &e->digest);
        snprintf(a->about, sizeof a->about, "%s@%s", e->repository, text);
    } else if (which == HOOK_DAMAGE) {
        digest_text(a->id, &e->id);
        snprintf(a->about, sizeof a->about, "%s", e->repository);
    }
}

/* Variables that are meant for our process alone, or are wrong in the hook's directory. */
static const char *const removed_variables[] = {
    "NOTIFY_SOCKET",  "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID",
    "LISTEN_FDNAMES", "MAINPID",       "PWD",          "OLDPWD",
};

/* The passwords of a server with --database, or --blobs s3://... */
static const char *const secret_variables[] = {"PGPASSWORD", "AWS_ACCESS_KEY_ID",
                                               "AWS_SECRET_ACCESS_KEY", NULL};
static const char *const no_variables[] = {NULL};

#define VARIABLES_MAX 16 /* REGISTRY_*, USER, LOGNAME, PATH */

struct environment {
    struct arena *arena;
    const char *const *secrets; /* ends with NULL */
    const char *v[VARIABLES_MAX];
    size_t n;
    bool failed;
};

static void
set_variable(struct environment *env, const char *name, const char *value)
{
    const char *text = arena_printf(env->arena, "%s=%s", name, value);

    if (text == NULL || env->n == VARIABLES_MAX)
        env->failed = true;
    else
        env->v[env->n++] = text;
}

static bool
variable_is(const char *variable, const char *name, size_t n)
{
    return strncmp(variable, name, n) == 0 && variable[n] == '=';
}

static bool
is_variable_replaced(const struct environment *env, const char *variable)
{
    for (size_t i = 0; i < env->n; i++)
        if (variable_is(variable, env->v[i], strcspn(env->v[i], "=")))
            return true;
    for (size_t i = 0; i < sizeof removed_variables / sizeof removed_variables[0]; i++)
        if (variable_is(variable, removed_variables[i], strlen(removed_variables[i])))
            return true;
    for (const char *const *secret = env->secrets; *secret != NULL; secret++)
        if (variable_is(variable, *secret, strlen(*secret)))
            return true;
    return false;
}

static void
set_event_variables(struct environment *env, enum hook which, const struct rec_event *e,
                    uint64_t seq)
{
    char time[CLOCK_RFC3339_MAX], digest[DIGEST_TEXT_MAX], old[DIGEST_TEXT_MAX];
    char number[24] = "";

    clock_rfc3339(time, e->time);
    digest_text(digest, &e->digest);
    digest_text(old, &e->old);
    if (seq != 0)
        snprintf(number, sizeof number, "%llu", (unsigned long long)seq);
    set_variable(env, "REGISTRY_EVENT", hook_names[which]);
    set_variable(env, "REGISTRY_EVENT_ID", number);
    set_variable(env, "REGISTRY_TIME", time);
    set_variable(env, "REGISTRY_REPOSITORY", e->repository);
    set_variable(env, "REGISTRY_TAG", e->tag);
    set_variable(env, "REGISTRY_DIGEST", digest);
    set_variable(env, "REGISTRY_OLD_DIGEST", old);
    set_variable(env, "REGISTRY_MEDIA_TYPE", e->media_type);
    set_variable(env, "REGISTRY_ACTOR", e->actor);
}

static const char *const *
hook_environment(const struct hooks *h, enum hook which, const struct rec_event *e, uint64_t seq,
                 struct arena *arena)
{
    struct environment env = {.arena = arena,
                              .secrets = h->has_secrets ? secret_variables : no_variables};
    const char **all;
    size_t inherited = 0, n = 0;

    set_event_variables(&env, which, e, seq);
    if (h->user != NULL) {
        set_variable(&env, "USER", h->user);
        set_variable(&env, "LOGNAME", h->user);
    }
    if (getenv("PATH") == NULL)
        set_variable(&env, "PATH", DEFAULT_PATH);
    while (environ[inherited] != NULL)
        inherited++;
    all = arena_array(arena, inherited + env.n + 1, sizeof *all);
    if (env.failed || all == NULL)
        return NULL;
    for (size_t i = 0; i < inherited; i++)
        if (!is_variable_replaced(&env, environ[i]))
            all[n++] = environ[i];
    memcpy(all + n, env.v, env.n * sizeof *all);
    return all;
}

static const char *const *
hook_argv(const struct hooks *h, enum hook which, const struct rec_event *e, struct arena *arena)
{
    const char **argv = arena_array(arena, 7, sizeof *argv);
    struct hook_arguments *a = arena_alloc(arena, sizeof *a);
    size_t n = 0;

    if (argv == NULL || a == NULL)
        return NULL;
    hook_arguments_of(a, which, e);
    if (h->scripts[which] != NULL) {
        argv[n++] = SHELL;
        argv[n++] = "-c";
        argv[n++] = h->scripts[which];
        argv[n++] = hook_names[which];
    } else {
        argv[n++] = arena_printf(arena, "./hooks/%s", hook_names[which]);
    }
    if (argv[0] == NULL)
        return NULL;
    argv[n++] = a->id;
    if (a->about[0] != '\0')
        argv[n++] = a->about;
    return argv;
}

int
hook_command_of(const struct hooks *h, enum hook which, const struct rec_event *e, uint64_t seq,
                struct arena *arena, struct hook_command *c, struct err *err)
{
    c->path =
        h->scripts[which] != NULL ? SHELL : arena_printf(arena, "%s/%s", h->dir, hook_names[which]);
    c->argv = hook_argv(h, which, e, arena);
    c->envp = hook_environment(h, which, e, seq, arena);
    if (c->path == NULL || c->argv == NULL || c->envp == NULL)
        return arena_full(err);
    return 0;
}
