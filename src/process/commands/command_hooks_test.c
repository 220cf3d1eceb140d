#include "process/commands/command_hooks_test.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/events/hook.h"
#include "domain/core/manifest.h"
#include "domain/name.h"
#include "domain/events/prehook.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "process/server/server.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/spawn.h"

#define MEMORY_MAX (32u << 20)
#define TICK_MS 100
#define LAST_WORDS_MS 1000

/* The made-up event, and its image. */
struct made {
    enum hook which;
    struct rec_event event;
    struct bytes document; /* the manifest; empty for an image of the first API */
    struct arena arena;
};

static int
split_reference(struct made *m, const char *reference, struct err *err)
{
    struct rec_event *e = &m->event;

    if (!name_split(reference, strlen(reference), e->repository, e->tag))
        return err_set(err, ERR_BAD_REQUEST, "%s is not of the form NAME:TAG", reference);
    if (e->tag[0] == '\0')
        snprintf(e->tag, sizeof e->tag, "latest");
    return 0;
}

static int
read_manifest(struct made *m, const struct registry *reg, uint64_t repo, struct err *err)
{
    struct rec_event *e = &m->event;
    struct rec_manifest r;
    struct manifest parsed;
    int rc = tbl_manifest_get(kv_reads(reg->kv), repo, &e->digest, &r, err);
    if (rc == 1)
        rc = pull_document(reg, &e->digest, r.size, &m->arena, &m->document, err);
    if (rc != 1)
        return rc == 0 ? err_set(err, ERR_NO_MANIFEST, "the tag has just moved: try again") : -1;
    snprintf(e->media_type, sizeof e->media_type, "%s", r.media_type);
    if (manifest_parse(&parsed, m->document, r.media_type, &m->arena, err) < 0)
        return -1;
    e->id = r.made_from.algo != DIGEST_NONE ? r.made_from : *manifest_id(&parsed, &e->digest);
    return 0;
}

static int
make_event(struct made *m, const struct registry *reg, const char *reference, struct err *err)
{
    struct rec_event *e = &m->event;
    struct rec_repo repo;
    struct rec_tag tag;
    int rc;

    if (split_reference(m, reference, err) < 0 ||
        repository_need(reg, e->repository, &repo, err) < 0)
        return -1;
    rc = tbl_tag_get(kv_reads(reg->kv), repo.id, e->tag, &tag, err);
    if (rc != 1)
        return rc == 0 ? err_set(err, ERR_NO_MANIFEST, "there is no tag %s in %s", e->tag,
                                 e->repository)
                       : -1;
    e->time = clock_wall_ms();
    snprintf(e->actor, sizeof e->actor, "%s", tag.by);
    e->id = tag.target;
    if (tag.target.algo == DIGEST_V1_ID)
        return 0;
    e->digest = tag.target;
    return read_manifest(m, reg, repo.id, err);
}

/* The members of an event that a hook of that name gets. */
static void
shape_event(struct made *m)
{
    static const enum event_type types[] = {
        [HOOK_IMAGE] = EVENT_IMAGE,       [HOOK_LAYER] = EVENT_LAYER,
        [HOOK_VERIFY] = EVENT_VERIFY,     [HOOK_INDEX] = EVENT_INDEX,
        [HOOK_TAG] = EVENT_TAG,           [HOOK_UNTAG] = EVENT_UNTAG,
        [HOOK_MANIFEST] = EVENT_MANIFEST, [HOOK_DELETE] = EVENT_DELETE,
        [HOOK_DAMAGE] = EVENT_DAMAGE};
    bool about_tag = m->which == HOOK_TAG || m->which == HOOK_UNTAG || m->which >= HOOK_PRE_TAG;
    if (m->which < HOOK_PRE_TAG)
        m->event.type = types[m->which];
    if (!about_tag)
        m->event.tag[0] = '\0';
}

/* ---- running it ---- */

/* Copies output to stdout, unchanged. False at the end. */
static bool
pass_on(int out)
{
    char bytes[16384];
    ssize_t n;
    while ((n = read(out, bytes, sizeof bytes)) > 0) {
        fwrite(bytes, 1, (size_t)n, stdout);
        fflush(stdout);
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool
hook_has_exited(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Waits until the hook has ended and its output is read; or until its time is over, or the caller
 * is gone. */
static const char *
follow(const struct control *c, pid_t pid, int out)
{
    uint64_t until = clock_mono_ms() + c->server->options->hook_timeout_ms;
    bool open = true, exited = false;
    while (open || !exited) {
        struct pollfd p = {.fd = open ? out : -1, .events = POLLIN};
        uint64_t now;

        poll(&p, 1, TICK_MS);
        open = open && pass_on(out);
        now = clock_mono_ms();
        if (!exited && hook_has_exited(pid)) {
            exited = true;
            until = now + LAST_WORDS_MS;
        }
        if (control_is_over(c))
            return "was interrupted";
        if (now >= until)
            return exited ? NULL : "took longer than --hook-timeout";
    }
    return NULL;
}

static int
run_test_hook(const struct control *c, struct made *m, struct hooks *hooks, struct err *err)
{
    struct hook_command command;
    pid_t pid;
    int out, status;
    struct spawn s;
    const char *why;

    if (hook_command_of(hooks, m->which, &m->event, 0, &m->arena, &command, err) < 0)
        return -1;
    s = (struct spawn){.path = command.path,
                       .argv = command.argv,
                       .envp = command.envp,
                       .dirfd = hooks->dirfd,
                       .in = -1,
                       .dies_with_us = true};
    if (spawn_start(&s, &pid, &out, err) < 0)
        return -1;
    why = follow(c, pid, out);
    spawn_kill(pid);
    status = spawn_wait(pid);
    fdio_close(out);
    if (why != NULL)
        return err_set(err, ERR_SYSTEM, "the hook %s %s", hook_name(m->which), why);
    if (WIFSIGNALED(status))
        return err_set(err, ERR_SYSTEM, "the hook %s was killed by signal %d", hook_name(m->which),
                       WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(err, ERR_SYSTEM, "the hook %s ended with exit code %d", hook_name(m->which),
                       WEXITSTATUS(status));
    return 0;
}

static int
test(const struct control *c, struct made *m, struct err *err)
{
    struct hooks hooks;
    int rc;
    struct registry reg;

    server_hooks(c->server, &hooks);
    rc = hook_find(&hooks, m->which, err);
    if (rc == 0)
        err_set(err, ERR_BAD_REQUEST, "there is no hook %s: neither --on-%s nor %s/%s",
                hook_name(m->which), hook_name(m->which), hooks.dir, hook_name(m->which));
    if (rc != 1)
        return -1;
    if (m->which < HOOK_PRE_TAG)
        return run_test_hook(c, m, &hooks, err);
    reg = *c->reg;
    reg.hooks = &hooks;
    return prehook_ask(&reg, m->which, &m->event, m->document, &m->arena, err);
}

enum command_exit
command_hooks_test(struct control *c, const char *name, const char *reference, struct err *err)
{
    struct made m = {.document = bytes_of("", 0)};
    int rc;

    if (!hook_parse(name, &m.which)) {
        err_set(err, ERR_BAD_REQUEST,
                "there is no hook called %s: see docker-registry-server --help", name);
        return COMMAND_USAGE;
    }
    arena_init(&m.arena, MEMORY_MAX);
    rc = make_event(&m, c->reg, reference, err);
    if (rc == 0) {
        shape_event(&m);
        rc = test(c, &m, err);
    }
    arena_reset(&m.arena);
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}
