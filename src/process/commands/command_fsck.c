#include "process/commands/command_fsck.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/check/check.h"
#include "domain/core/store_blobs.h"
#include "domain/core/quota.h"
#include "process/commands/progress.h"
#include "process/server/other_registry.h"
#include "process/server/store_address.h"
#include "storage/files/backup_lock.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv_check.h"
#include "storage/kv/kv_copy.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/json.h"
#include "util/parse.h"

/* The database is looked at in a copy: beside a server in run/, because it may be as large as the
 * database; without one in $TMPDIR, because nothing is written to what is looked at. */
#define LIVE_COPY "run/fsck"
#define LIVE_LOCK "run/fsck.lock"

struct fsck {
    struct control *c;
    bool repair, json;
    uint64_t rate;
    struct registry reg;
    struct progress progress;
    uint64_t findings; /* of the database's files */
    uint64_t bytes;    /* of them */
    struct check check;
    struct quotas quotas; /* at rest */
    char copy[4096];
};

/* ---- what is printed ---- */

static void
print_finding_json(struct fsck *f, const struct check_finding *x)
{
    struct json *j = json_new_object();

    json_set_string(j, "kind", x->kind);
    json_set_string(j, "what", x->what);
    json_set_string(j, "must", x->must);
    json_set_string(j, "why", x->why);
    json_set_string(j, "repair", x->repair != NULL ? x->repair : "");
    json_set_bool(j, "repaired", x->repaired);
    command_print(f->findings + f->check.findings > 1 ? ",\n" : "\n", j, "");
}

static void
print_finding(void *arg, const struct check_finding *x)
{
    struct fsck *f = arg;

    progress_end(&f->progress);
    if (f->json)
        print_finding_json(f, x);
    else if (x->repair == NULL)
        printf("%s %s: %s; --repair does not mend it\n", x->kind, x->what, x->why);
    else
        printf("%s %s: %s; %s: %s\n", x->kind, x->what, x->why,
               x->repaired ? "repaired" : "--repair", x->repair);
}

static void
show_fsck_progress(void *arg, const char *part, uint64_t entries, uint64_t bytes)
{
    struct fsck *f = arg;
    char size[PROGRESS_SIZE_MAX];

    progress_size(size, bytes);
    progress_tell(&f->progress, "%s: %llu records, %s of blobs", part, (unsigned long long)entries,
                  size);
}

static bool
is_fsck_over(void *arg)
{
    struct fsck *f = arg;

    return control_is_over(f->c);
}

static void
print_summary(struct fsck *f)
{
    const struct check *k = &f->check;
    uint64_t findings = f->findings + k->findings;
    char size[PROGRESS_SIZE_MAX];
    struct json *j;

    progress_end(&f->progress);
    if (f->json) {
        j = json_new_object();
        json_set_u64(j, "records", k->entries);
        json_set_u64(j, "blobs", k->blobs);
        json_set_u64(j, "bytes", k->bytes);
        json_set_u64(j, "indexes", k->indexes);
        json_set_u64(j, "waiting", k->waiting);
        json_set_u64(j, "findings", findings);
        json_set_u64(j, "repaired", k->repaired);
        command_print("\n],\"summary\":", j, "}\n");
        return;
    }
    progress_size(size, k->bytes);
    printf("checked %llu record%s, %llu blob%s (%s), %llu index%s: %llu finding%s, %llu repaired",
           (unsigned long long)k->entries, progress_plural(k->entries),
           (unsigned long long)k->blobs, progress_plural(k->blobs), size,
           (unsigned long long)k->indexes, k->indexes == 1 ? "" : "es",
           (unsigned long long)findings, progress_plural(findings),
           (unsigned long long)k->repaired);
    if (k->waiting > 0)
        printf(k->waiting == 1 ? "; %llu blob waits to be pushed again"
                               : "; %llu blobs wait to be pushed again",
               (unsigned long long)k->waiting);
    putchar('\n');
}

/* ---- the files of the database ---- */

static int
fsck_tick(void *arg, uint64_t bytes, struct err *err)
{
    struct fsck *f = arg;
    char size[PROGRESS_SIZE_MAX];

    f->bytes += bytes;
    progress_size(size, f->bytes);
    progress_tell(&f->progress, "database: %s", size);
    return control_is_over(f->c) ? err_set(err, ERR_BUSY, "the check was ended") : 0;
}

static void
print_fault(void *arg, const char *file, const char *why)
{
    struct fsck *f = arg;
    char what[300];

    f->findings++;
    snprintf(what, sizeof what, "db/%s", file);
    print_finding(f,
                  &(struct check_finding){"database", what, "the files of the database are whole",
                                          why, NULL, false});
}

static int
check_room_for_copy(int dirfd, const char *where, uint64_t bytes, struct err *err)
{
    char size[PROGRESS_SIZE_MAX];
    struct err short_of;

    if (disk_space_check(dirfd, bytes, &short_of) == 0)
        return 0;
    progress_size(size, bytes);
    return err_set(err, ERR_NO_SPACE, "%s needs room for a copy of the database, %s: %s", where,
                   size, short_of.message);
}

/* Returns the descriptor of a lock, so that there is one live copy at a time; or -1. */
static int
begin_live_copy(struct fsck *f, struct err *err)
{
    int dirfd = f->reg.dirfd, lock;
    uint64_t bytes;

    lock = openat(dirfd, LIVE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return err_errno(err, "cannot open " LIVE_LOCK);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0)
        err_set(err, ERR_BUSY, "another fsck is looking at this store: wait until it has ended");
    else if (fdio_remove_tree(dirfd, LIVE_COPY, err) == 0 && kv_copy_size("db", &bytes, err) == 0 &&
             check_room_for_copy(dirfd, "run/", bytes, err) == 0 &&
             fdio_mkdir(dirfd, LIVE_COPY, 0700, err) >= 0)
        return lock;
    fdio_close(lock);
    return -1;
}

static void
tell_fsck_waits(void *arg, const char *holder)
{
    struct fsck *f = arg;

    progress_tell(&f->progress, "waiting for %s", holder);
}

/* As for a backup, no log may be removed meanwhile. Waits for a backup that is being made. */
static int
copy_beside_writers(struct fsck *f, struct err *err)
{
    const struct backup_lock_wait wait = {"fsck", UINT64_MAX, is_fsck_over, tell_fsck_waits, f};
    uint64_t moment;
    int rc, lock = backup_lock_take(f->reg.dirfd, &wait, err);

    if (lock < 0)
        return -1;
    rc = kv_backup_copy(f->reg.kv, LIVE_COPY, &moment, is_fsck_over, f, err);
    fdio_close(lock);
    return rc;
}

/* The copy stays until remove_copy. */
static int
copy_at_rest(struct fsck *f, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    uint64_t bytes;
    int dirfd, rc = -1;

    if (tmp == NULL || tmp[0] != '/')
        tmp = "/var/tmp";
    if ((size_t)snprintf(f->copy, sizeof f->copy, "%s/registry-fsck-XXXXXX", tmp) >=
            sizeof f->copy ||
        mkdtemp(f->copy) == NULL) {
        f->copy[0] = '\0';
        return err_errno(err, "cannot create a directory in %s (TMPDIR names another place)", tmp);
    }
    dirfd = open(f->copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (kv_copy_size("db", &bytes, err) == 0 && check_room_for_copy(dirfd, tmp, bytes, err) == 0)
        rc = kv_copy_files("db", f->copy, fsck_tick, f, err);
    fdio_close(dirfd);
    if (rc == 0)
        rc = kv_check_copy(f->copy, f->c->server->dir.lock < 0, tables, TABLE_COUNT, print_fault,
                           fsck_tick, f, err);
    return rc;
}

static void
remove_copy(struct fsck *f)
{
    struct err ignored;

    if (f->copy[0] != '\0')
        fdio_remove_tree(AT_FDCWD, f->copy, &ignored);
}

/* ---- everything ---- */

static void
exit_on_lost_copy(const char *why)
{
    command_note("the copy of the database can't be used: %s", why);
    _exit(COMMAND_FAILED);
}

static int
check_all(struct fsck *f, bool alone, struct err *err)
{
    const struct check_watch watch = {print_finding, show_fsck_progress, is_fsck_over, f};
    struct check *k = &f->check;

    if (f->reg.quotas == NULL && quota_load(f->reg.kv, &f->quotas, err) != 0)
        return -1;
    if (f->reg.quotas == NULL)
        f->reg.quotas = &f->quotas;
    *k = (struct check){
        .reg = &f->reg, .watch = &watch, .repair = f->repair, .alone = alone, .rate = f->rate};
    if (check_records(k, err) != 0 || check_files(k, err) != 0 || check_digests(k, err) != 0)
        return -1;
    k->watch = NULL;
    return 0;
}

/* In the copy, what can be read of a damaged database. Nothing is repaired: records would be missed
 * that are only on a damaged page. live: the store that a server uses, or NULL. 2, -1. */
static int
check_rest(struct fsck *f, const char *copy, struct kv *live, struct err *err)
{
    const struct check_watch watch = {print_finding, show_fsck_progress, is_fsck_over, f};
    struct registry reg = f->reg;
    struct check *k = &f->check;
    int rc = -1;

    reg.kv = kv_open(copy, tables, TABLE_COUNT, NULL, exit_on_lost_copy, err);
    reg.quotas = NULL;
    *k = (struct check){.reg = &reg,
                        .watch = &watch,
                        .alone = true,
                        .damaged = true,
                        .live = live,
                        .rate = f->rate};
    if (reg.kv != NULL)
        rc = check_records(k, err) == 0 && check_digests(k, err) == 0 ? 2 : -1;
    kv_close(reg.kv);
    k->watch = NULL;
    k->reg = NULL;
    return rc;
}

static int
copy_live(struct fsck *f, struct err *err)
{
    int lock = begin_live_copy(f, err), rc;
    struct err ignored;

    if (lock < 0)
        return -1;
    rc = copy_beside_writers(f, err);
    if (rc == 0)
        rc = kv_check_copy(LIVE_COPY, true, tables, TABLE_COUNT, print_fault, fsck_tick, f, err);
    if (rc == 2)
        rc = check_rest(f, LIVE_COPY, f->reg.kv, err);
    fdio_remove_tree(f->reg.dirfd, LIVE_COPY, &ignored);
    fdio_close(lock);
    return rc;
}

static bool
is_backup(const struct fsck *f)
{
    const struct datadir *dir = &f->c->server->dir;
    struct err ignored;

    return other_registry_backup(dir->fd, dir->name, &ignored) != 0;
}

/* A backup has the blobs in it, wherever they were. */
static int
check_blobs_place(const struct fsck *f, struct err *err)
{
    return is_backup(f) ? 0 : store_blobs_check(&f->reg, err);
}

/* Another machine may have the database open, so nothing is judged as if we were alone. */
static int
check_remote_at_rest(struct fsck *f, struct err *err)
{
    const struct server *s = f->c->server;
    int rc;

    f->reg.kv = f->repair ? control_open_store(s, err)
                          : kv_open(store_address(s->options), tables, TABLE_COUNT, NULL,
                                    exit_on_lost_copy, err);
    rc = f->reg.kv != NULL && check_blobs_place(f, err) == 0 ? check_all(f, false, err) : -1;
    kv_close(f->reg.kv);
    return rc;
}

static int
check_at_rest(struct fsck *f, struct err *err)
{
    const struct server *s = f->c->server;
    int rc;

    if (!is_backup(f) && store_address_check(s->options, s->dir.fd, err) != 0)
        return -1;
    if (s->options->database != NULL && !is_backup(f))
        return check_remote_at_rest(f, err);
    rc = copy_at_rest(f, err);

    if (rc == 2)
        rc = check_rest(f, f->copy, NULL, err);
    if (rc == 1) {
        f->reg.kv = f->repair ? control_open_store(f->c->server, err)
                              : kv_open(f->copy, tables, TABLE_COUNT, NULL, exit_on_lost_copy, err);
        rc = f->reg.kv != NULL && check_blobs_place(f, err) == 0 ? check_all(f, true, err) : -1;
        kv_close(f->reg.kv);
    }
    remove_copy(f);
    return rc;
}

static int
check_live(struct fsck *f, struct err *err)
{
    int rc = kv_is_remote(f->reg.kv) ? 1 : copy_live(f, err);

    return rc == 1 ? check_all(f, false, err) : rc;
}

/* rc: -1 failed; otherwise it was done, as far as it can be. */
static enum command_exit
end_fsck(struct fsck *f, int rc, struct err *err)
{
    uint64_t findings = f->findings + f->check.findings;

    progress_end(&f->progress);
    if (rc < 0 && f->json)
        printf("\n]}\n");
    if (rc >= 0)
        print_summary(f);
    if (fflush(stdout) != 0 || ferror(stdout))
        rc = err_errno(err, "cannot write the findings");
    if (rc < 0)
        return COMMAND_FAILED;
    if (f->findings > 0)
        err_set(err, ERR_CORRUPT,
                "the database is damaged, and %s: stop the server, and put it back with "
                "docker-registry-server restore --snapshot, or restore a backup",
                rc == 2 ? "nothing was repaired" : "nothing else was looked at");
    else if (findings > 0)
        err_set(err, ERR_CORRUPT, "there are findings: see above");
    return findings > 0 ? COMMAND_FAILED : COMMAND_DONE;
}

enum command_exit
command_fsck_work(struct control *c, struct err *err)
{
    struct fsck f = {.c = c, .reg = *c->reg};
    int rc;

    if (c->args_n != 5 || !parse_u64(c->args[3], strlen(c->args[3]), &f.rate)) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    f.repair = strcmp(c->args[1], "repair") == 0;
    f.json = strcmp(c->args[2], "json") == 0;
    if (f.repair)
        command_remember(c->server->dir.fd, c->args[4], "fsck-repair", "");
    progress_begin(&f.progress);
    if (f.json)
        fputs("{\"findings\":[", stdout);
    rc = c->reg->kv != NULL ? check_live(&f, err) : check_at_rest(&f, err);
    return end_fsck(&f, rc, err);
}

enum command_exit
command_fsck(struct options *o, struct err *err)
{
    char rate[24], who[COMMAND_ACTOR_MAX];
    const char *args[] = {
        "fsck", o->repair ? "repair" : "look", o->json ? "json" : "text", rate, who, NULL};

    command_actor(who);
    options_forget_users(o); /* of a configuration file */
    if (o->words.n > 0) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server fsck [--repair] [--rate SIZE] [--json], with --dir, "
                "--config and --run-as as for the server");
        return COMMAND_USAGE;
    }
    snprintf(rate, sizeof rate, "%llu", (unsigned long long)o->rate);
    /* A copy of the database is removed also when this is ended. */
    signal(SIGINT, control_stop);
    signal(SIGTERM, control_stop);
    return control_run_closed(o, !o->repair, command_fsck_work, args, err);
}
