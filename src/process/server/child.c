#include "process/server/child.h"
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/core/quota.h"
#include "domain/v1/image_foreign.h"
#include "process/server/store_address.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv.h"
#include "storage/kv/kv_nodes.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"

/* nginx opens the file of a download when it reads the worker's answer, milliseconds after the
 * worker has seen the record; much later only if the disk hangs. Then the client gets 404, which is
 * true by that time: the blob was collected while the request waited. */
#define FILE_GRACE_MS 3000

static void
set_child_signals(void (*on_term)(int))
{
    static const int ignored[] = {SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction term = {.sa_handler = on_term != NULL ? on_term : SIG_IGN}; /* no SA_RESTART */
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &ignore, NULL);
    sigaction(SIGTERM, &term, NULL);
    sigaction(SIGCHLD, &normal, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
close_others(const struct server *s, const int *more, size_t more_n)
{
    int keep[3 + CHILD_KEEP_MAX] = {s->dir.fd, s->dir.lock};
    size_t n = 2;

    if (s->blobs.outside >= 0)
        keep[n++] = s->blobs.outside;
    for (size_t i = 0; i < more_n && i < CHILD_KEEP_MAX; i++)
        keep[n++] = more[i];
    fdio_close_others(keep, n);
}

void
child_begin(const struct server *s, pid_t master, const int *keep, size_t keep_n,
            void (*on_term)(int))
{
    if (privileges_forget(&s->who) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) {
        log_line(LOG_ERROR, "child can't begin", "why=%s", strerror(errno));
        _exit(CHILD_FAILED);
    }
    if (getppid() != master) /* it died before we could ask to be told */
        _exit(CHILD_FAILED);
    privileges_leave_session(&s->who);
    close_others(s, keep, keep_n);
    set_child_signals(on_term);
}

void
child_log_death(const char *name, pid_t pid, int status)
{
    bool no_memory = WIFEXITED(status) && WEXITSTATUS(status) == MEM_EXIT;

    log_line(LOG_WARN, no_memory ? "process died: out of memory" : "process died",
             "name=%s pid=%d signal=%d exit=%d", name, (int)pid,
             WIFSIGNALED(status) ? WTERMSIG(status) : 0,
             WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void
exit_on_lost_database(const char *why)
{
    log_line(LOG_ERROR, "database lost, asking for recovery", "why=%s", why);
    _exit(CHILD_LOST);
}

/* For the life of the process: whoever looks for leaks at its end finds it here. */
static struct quotas *loaded_quotas;

static struct kv_node_self own_node;

static const struct quotas *
load_quotas(struct kv *kv)
{
    struct err err = {.code = ERR_NONE};

    loaded_quotas = mem_alloc(sizeof *loaded_quotas);
    if (quota_load(kv, loaded_quotas, &err) == 0 && loaded_quotas->n > 0)
        return loaded_quotas;
    if (err.code != ERR_NONE)
        log_line(LOG_ERROR, "the quotas can't be read, and hold for nobody", "why=%s", err.message);
    free(loaded_quotas);
    loaded_quotas = NULL;
    return NULL;
}

void
child_registry(const struct server *s, struct kv *kv, struct registry *reg)
{
    const struct options *o = s->options;

    disk_space_keep(o->min_free);
    *reg = (struct registry){
        .kv = kv,
        .dirfd = s->dir.fd,
        .blobs = &s->blobs,
        .foreign = &image_foreign,
        .poke = &s->poke,
        .read_only = s->read_only,
        .started_ms = s->started_ms,
        .lease_ms = o->lease_ms,
        .upload_expiry_ms = o->upload_expiry_ms,
        .history_keep_ms = o->history_keep_ms,
        .gc_interval_ms = o->gc_interval_ms,
        .gc_untagged_ms = o->gc_untagged_ms,
        .file_grace_ms = FILE_GRACE_MS,
        .max_blob_size = o->max_blob_size,
        .max_repositories = o->max_repositories,
        .max_tags = o->max_tags,
        .max_uploads = o->max_uploads,
        .event_keep_ms = o->event_keep_ms,
        .retain_every_ms = o->retain_every_ms,
        .token_lifetime_ms = o->token_lifetime_ms,
        .pre_hook_timeout_ms = o->pre_hook_timeout_ms,
        .index_wait_ms = o->index_wait_ms,
        .login_cache = &s->login_cache,
        .body_ahead = &s->body_ahead,
        .pulls = s->read_only ? NULL : &s->pulls,
        .sizes = &s->sizes,
        .immutable = o->immutable.v,
        .immutable_n = o->immutable.n,
        .users_given = s->given.n > 0,
        .rules_given = o->access != NULL,
        .anonymous_pull = o->anonymous_pull,
        .users_trusted = o->trust_remote_user,
        .base_url = o->base_url,
        .metrics = s->metrics.shared != NULL ? &s->metrics : NULL,
        .metrics_from = (const char *const *)o->metrics_from.v,
        .metrics_from_n = o->metrics_from.n,
    };
    if (kv != NULL)
        reg->quotas = load_quotas(kv);
}

void
child_open(const struct server *s, const struct child_place *place, struct registry *reg)
{
    struct err err;
    struct kv *kv = kv_open(store_address(s->options), tables, TABLE_COUNT, place->slot,
                            exit_on_lost_database, &err);
    if (kv == NULL) {
        if (err.code == ERR_NO_SPACE)
            _exit(CHILD_NO_SPACE); /* the master logs it, now and then */
        log_line(LOG_ERROR, "cannot open the database", "why=%s", err.message);
        _exit(CHILD_FAILED);
    }
    if (s->read_only)
        kv_refuse_writes(kv);
    child_registry(s, kv, reg);
    if (kv_is_remote(kv)) {
        /* If another server has taken the node's place, the keeper tells, and no number is ours. */
        own_node = (struct kv_node_self){.number = 0};
        if (kv_node_self(kv, s->node.run, &own_node, &err) != 0 && err.code != ERR_UNSUPPORTED) {
            log_line(LOG_ERROR, "cannot open the database", "why=%s", err.message);
            _exit(CHILD_FAILED);
        }
        reg->node = &own_node;
    }
    reg->counts = place->counts;
    atomic_store(&place->slot->ready, true);
}
