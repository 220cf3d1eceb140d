#include "process/commands/command_migrate.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/backup/migrate.h"
#include "process/commands/progress.h"
#include "process/server/child.h"
#include "process/server/node.h"
#include "process/server/store_address.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv_nodes.h"
#include "storage/kv/kv_open.h"
#include "storage/s3/s3_bucket.h"
#include "util/parse.h"

enum argument {
    ARG_TO = 1,
    ARG_BLOBS,
    ARG_WAIT,
    ARG_ACTOR,
    ARG_ENVIRONMENT,
};

#define LIBPQ_VARIABLES "PG"

/* ---- the part with the store ---- */

struct moving {
    struct control *c;
    const char *to, *blobs; /* blobs: NULL: they stay */
    bool is_back;           /* from PostgreSQL into the data directory */
    bool is_last;
    struct server server; /* without a server: with the blobs as they are opened here */
    struct registry reg;
    struct blob_store target;
    struct progress progress;
};

static bool
is_moving_over(void *arg)
{
    const struct moving *w = arg;

    return control_is_over(w->c);
}

static void
tell_moving(void *arg, const char *what, uint64_t n)
{
    struct moving *w = arg;

    progress_tell(&w->progress, "%s: %llu", what, (unsigned long long)n);
}

static void
tell_moving_waits(void *arg, const char *holder)
{
    struct moving *w = arg;

    progress_tell(&w->progress, "waiting for %s", holder);
}

static void
print_moving_complaint(void *arg, const char *text)
{
    struct moving *w = arg;

    progress_end(&w->progress);
    command_note("%s", text);
}

/* The password of the database, say, is in the environment of the caller, not in the server's. */
static void
take_environment(const struct control *c)
{
    for (size_t i = ARG_ENVIRONMENT; i < c->args_n; i++) {
        const char *value = strchr(c->args[i], '=');
        char name[64];

        if (value == NULL || strncmp(c->args[i], LIBPQ_VARIABLES, strlen(LIBPQ_VARIABLES)) != 0 ||
            (size_t)snprintf(name, sizeof name, "%.*s", (int)(value - c->args[i]), c->args[i]) >=
                sizeof name)
            continue;
        setenv(name, value + 1, 1);
    }
}

/* Of the two places, the one that is a database. NULL: neither. */
static const char *
database_of(const struct moving *w)
{
    return w->is_back ? w->c->server->options->database : w->to;
}

/* The last look before the old database is left. */
static int
refuse_other_servers(void *arg, struct err *err)
{
    const struct moving *w = arg;
    char own[KV_NODE_ID_MAX];

    return node_read_id(w->c->server->dir.fd, own, err) != 0
               ? -1
               : kv_node_refuse_others(w->reg.kv, own, err);
}

/* Without a server: the blobs are in the data directory, or are in the directory of --blobs
 * already. */
static int
open_at_rest(struct moving *w, struct err *err)
{
    struct server *s = &w->server;
    struct kv *kv;

    *s = *w->c->server;
    if (migrate_resume(s->dir.fd, STORE_ADDRESS_MOVED, database_of(w), w->is_back, err) != 0)
        return -1;
    kv = control_open_store(s, err);
    if (kv == NULL && err->code == ERR_UNSUPPORTED && w->blobs != NULL) {
        s->blobs = w->target;
        kv = control_open_store(s, err);
    }
    if (kv == NULL)
        return -1;
    child_registry(s, kv, &w->reg);
    w->is_last = true;
    return 0;
}

static bool
is_same_place(const struct blob_store *a, const struct blob_store *b)
{
    struct stat one, other;

    if (a->s3 != NULL || b->s3 != NULL)
        return a->s3 != NULL && b->s3 != NULL && strcmp(a->s3->host, b->s3->host) == 0 &&
               strcmp(a->s3->path, b->s3->path) == 0;
    return a->outside >= 0 && b->outside >= 0 && fstat(a->outside, &one) == 0 &&
           fstat(b->outside, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* An argument, as a shell takes it. */
static void
print_argument(const char *option, const char *value)
{
    bool is_plain = strpbrk(value, " &;'\"$") == NULL;

    printf(is_plain ? " %s %s" : " %s '%s'", option, value);
}

/* What has to be done next. */
static void
print_next(const struct moving *w)
{
    const char *dir = w->c->server->dir.name;

    if (w->is_last)
        printf("The registry is there now. Start its server with");
    else
        printf("The server still uses the old place. Stop it, repeat this command, and start the "
               "server with");
    print_argument("--dir", dir);
    if (!w->is_back)
        print_argument("--database", w->to);
    if (blob_store_is_outside(w->reg.blobs) || w->blobs != NULL)
        print_argument("--blobs", w->blobs != NULL ? w->blobs : w->reg.blobs->name);
    puts(w->is_back ? ", without --database" : "");
}

static int
print_moved(const struct moving *w, const struct migrate *m, struct err *err)
{
    char bytes[PROGRESS_SIZE_MAX], copied[PROGRESS_SIZE_MAX];

    printf("%llu record%s, %llu of them written", (unsigned long long)m->records,
           progress_plural(m->records), (unsigned long long)m->changes);
    progress_size(bytes, m->copied.bytes);
    progress_size(copied, m->copied_bytes);
    printf("; %llu blob%s (%s), %llu of them copied (%s)", (unsigned long long)m->copied.blobs,
           progress_plural(m->copied.blobs), bytes, (unsigned long long)m->copied_blobs, copied);
    printf(": verified\n");
    print_next(w);
    return fflush(stdout) != 0 || ferror(stdout) ? err_errno(err, "cannot write what was moved")
                                                 : 0;
}

static int
move_registry(struct moving *w, uint64_t wait_ms, struct err *err)
{
    struct migrate m = {.reg = &w->reg,
                        .database = database_of(w),
                        .is_last = w->is_last,
                        .moved = STORE_ADDRESS_MOVED,
                        .wait = {"migrate", wait_ms, is_moving_over, tell_moving_waits, w},
                        .tell = tell_moving,
                        .complain = print_moving_complaint,
                        .is_over = is_moving_over,
                        .is_alone = refuse_other_servers,
                        .arg = w};
    int rc;

    if (w->blobs != NULL && !is_same_place(w->reg.blobs, &w->target))
        m.blobs = &w->target;
    progress_begin(&w->progress);
    rc = migrate_run(&m, err);
    progress_end(&w->progress);
    if (rc != 0)
        return -1;
    command_remember(w->c->server->dir.fd, w->c->args[ARG_ACTOR], "migrate", w->to);
    return print_moved(w, &m, err);
}

static int
refuse_direction(const struct moving *w, struct err *err)
{
    bool is_read_only = w->c->reg->kv != NULL && w->c->reg->read_only;
    bool is_remote = w->c->server->options->database != NULL;

    if (is_remote != w->is_back)
        return err_set(err, ERR_UNSUPPORTED,
                       is_remote ? "the metadata of this registry is in PostgreSQL already: its "
                                   "own tools move it to another database"
                                 : "the metadata of this registry is in its data directory "
                                   "already");
    if (is_read_only)
        return err_set(err, ERR_READ_ONLY, "this registry is read-only: stop its server first");
    return 0;
}

static int
open_and_move(struct moving *w, uint64_t wait_ms, struct err *err)
{
    struct err ignored;
    int rc;

    if (w->blobs != NULL &&
        blob_store_open(&w->target, w->c->server->dir.fd, w->blobs, false, err) != 0)
        return -1;
    w->target.cache_bytes = w->c->server->options->cache_size / 2;
    if (w->c->reg->kv != NULL)
        w->reg = *w->c->reg;
    else if (open_at_rest(w, err) != 0)
        return -1;
    rc = move_registry(w, wait_ms, err);
    if (w->is_last) {
        kv_close(w->reg.kv);
        (void)kv_backup_note_stop(MIGRATE_EMBEDDED, &ignored);
    }
    return rc;
}

enum command_exit
command_migrate_work(struct control *c, struct err *err)
{
    struct moving w = {.c = c, .target = {.outside = -1}};
    uint64_t wait_ms;
    int rc;

    if (c->args_n < ARG_ENVIRONMENT ||
        !parse_u64(c->args[ARG_WAIT], strlen(c->args[ARG_WAIT]), &wait_ms)) {
        err_set(err, ERR_BAD_REQUEST, "the caller is of another version");
        return COMMAND_FAILED;
    }
    w.to = c->args[ARG_TO];
    w.blobs = c->args[ARG_BLOBS][0] != '\0' ? c->args[ARG_BLOBS] : NULL;
    w.is_back = !kv_open_is_remote(w.to);
    if (refuse_direction(&w, err) != 0)
        return COMMAND_FAILED;
    take_environment(c);
    rc = open_and_move(&w, wait_ms, err);
    blob_store_close(&w.target);
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

/* Back, the metadata goes to where the other files of the registry are. */
static bool
is_own_directory(const struct options *o)
{
    struct stat to, own;

    return stat(o->to, &to) == 0 && stat(o->dir, &own) == 0 && to.st_dev == own.st_dev &&
           to.st_ino == own.st_ino;
}

enum command_exit
command_migrate(struct options *o, struct err *err)
{
    char wait[24], actor[COMMAND_ACTOR_MAX];
    const char *args[CONTROL_ARGS_MAX + 1] = {"migrate", o->to, o->blobs != NULL ? o->blobs : "",
                                              wait, actor};
    size_t n = ARG_ENVIRONMENT;

    options_forget_users(o); /* of a configuration file */
    if (o->words.n != 0 || o->to == NULL) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server migrate --to postgresql://...|DIRECTORY [--blobs "
                "DIRECTORY] [--wait TIME], with --dir, --config, --database and --run-as as for "
                "the server");
        return COMMAND_USAGE;
    }
    if (!kv_open_is_remote(o->to) && !is_own_directory(o)) {
        err_set(err, ERR_BAD_REQUEST,
                "--to %.200s is neither a database nor the data directory, %.200s: a backup can be "
                "restored into another directory",
                o->to, o->dir);
        return COMMAND_FAILED;
    }
    command_actor(actor);
    snprintf(wait, sizeof wait, "%llu", (unsigned long long)o->wait_ms);
    for (char **e = environ; *e != NULL && n < CONTROL_ARGS_MAX; e++)
        if (strncmp(*e, LIBPQ_VARIABLES, strlen(LIBPQ_VARIABLES)) == 0)
            args[n++] = *e;
    o->blobs = NULL; /* those are where they go to */
    return control_run_closed(o, false, command_migrate_work, args, err);
}
