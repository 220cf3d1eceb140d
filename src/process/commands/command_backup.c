#include "process/commands/command_backup.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "domain/backup/backup.h"
#include "process/commands/backup_dir.h"
#include "process/commands/backup_helper.h"
#include "process/commands/progress.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_meta.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/parse.h"

/* ---- the part with the database ---- */

struct work {
    int socket; /* the first member, because backup_helper_* get a pointer to it */
    struct control *c;
    struct progress progress;
};

static bool
backup_caller_is_gone(void *arg)
{
    const struct work *w = arg;

    return control_is_over(w->c);
}

static void
show_backup_progress(void *arg, const char *what, const struct backup_counts *n)
{
    struct work *w = arg;
    char some[PROGRESS_SIZE_MAX], whole[PROGRESS_SIZE_MAX];

    if (!w->progress.on)
        return;
    progress_size(some, n->seen_bytes);
    progress_size(whole, n->bytes);
    progress_tell(&w->progress, "%s: %llu of %llu blobs, %s of %s", what,
                  (unsigned long long)n->seen, (unsigned long long)n->blobs, some, whole);
}

static void
tell_backup_waits(void *arg, const char *holder)
{
    struct work *w = arg;

    progress_tell(&w->progress, "waiting for %s", holder);
}

static void
print_backup_complaint(void *arg, const char *text)
{
    struct work *w = arg;

    progress_end(&w->progress);
    command_note("%s", text);
}

static int
put_backup_time(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    return tbl_meta_put(t, META_BACKUP, clock_wall_ms(), err);
}

/* For /metrics and the command stat. A backup is good without it. */
static void
note_backup_time(const struct registry *reg)
{
    struct err ignored;

    if (!reg->read_only)
        txn_run(reg->kv, put_backup_time, NULL, &ignored);
}

enum command_exit
command_backup_work(struct control *c, struct err *err)
{
    struct work w = {.socket = STDIN_FILENO, .c = c};
    struct backup_place place = {
        .have = backup_helper_have,
        .have_same = backup_helper_have_same,
        .create = backup_helper_create,
        .keep = backup_helper_keep,
        .finish = backup_helper_finish,
        .wait = tell_backup_waits,
        .is_over = backup_caller_is_gone,
        .tell = show_backup_progress,
        .complain = print_backup_complaint,
        .arg = &w,
    };
    struct backup_counts n;
    char name[BACKUP_TIME_MAX], some[PROGRESS_SIZE_MAX], whole[PROGRESS_SIZE_MAX];
    int rc;

    if (c->args_n < 2 || c->args_n > 3 ||
        !parse_u64(c->args[1], strlen(c->args[1]), &place.wait_ms)) {
        err_set(err, ERR_BAD_REQUEST, "the caller is of another version");
        return COMMAND_FAILED;
    }
    place.newest = c->args_n == 3 ? c->args[2] : NULL;
    progress_begin(&w.progress);
    rc = backup_make(c->reg, &place, name, &n, err);
    progress_end(&w.progress);
    if (rc != 0)
        return COMMAND_FAILED;
    note_backup_time(c->reg);
    progress_size(some, n.new_bytes);
    progress_size(whole, n.bytes);
    printf("backup %s: %llu blob%s (%s), %llu of them new (%s)\n", name,
           (unsigned long long)n.blobs, progress_plural(n.blobs), whole,
           (unsigned long long)n.new_blobs, some);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        err_errno(err, "cannot write what was saved");
        return COMMAND_FAILED;
    }
    if (n.damaged == 0)
        return COMMAND_DONE;
    err_set(err, ERR_CORRUPT, "%llu blob%s damaged in the registry, and not in the backup",
            (unsigned long long)n.damaged, n.damaged == 1 ? " is" : "s are");
    return COMMAND_FAILED;
}

/* ---- the list ---- */

static void
print_backup(const char *name, const struct backup_info *info, const char *state, bool as_json)
{
    char size[PROGRESS_SIZE_MAX], new_size[PROGRESS_SIZE_MAX];

    if (as_json) {
        struct json *j = json_new_object();

        json_set_string(j, "name", name);
        json_set_string(j, "state", state);
        if (info != NULL) {
            backup_info_set_numbers(j, info);
            json_set_u64(j, "damaged", info->damaged_n);
        }
        command_print("", j, "\n");
        return;
    }
    if (info == NULL) {
        printf("%s\t%s\n", name, state);
        return;
    }
    progress_size(size, info->bytes);
    progress_size(new_size, info->new_bytes);
    printf("%s\t%s\t%llu blob%s\t%s\t%llu new\t%s\n", name, state, (unsigned long long)info->blobs,
           progress_plural(info->blobs), size, (unsigned long long)info->new_blobs, new_size);
}

static void
list_backup(int fd, const char *name, bool as_json)
{
    struct backup_info info;
    struct err why;
    int rc = backup_dir_info(fd, name, &info, &why);

    if (rc == 1)
        print_backup(name, &info, info.damaged_n > 0 ? "with damaged blobs" : "complete", as_json);
    else
        print_backup(name, NULL, rc == 0 ? "not complete" : "can't be used", as_json);
    if (rc < 0)
        command_note("%s", why.message);
    backup_info_free(&info);
}

static enum command_exit
list_backups(const char *dir, bool as_json, struct err *err)
{
    struct backup_dir_list l = {0};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? err_errno(err, "cannot open directory %s", dir) : 0;

    if (rc == 0)
        rc = backup_dir_list(fd, &l, err);
    for (size_t i = 0; rc == 0 && i < l.n; i++)
        list_backup(fd, l.names[i], as_json);
    if (rc == 0 && faccessat(fd, BACKUP_DIR_WORK, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        print_backup(BACKUP_DIR_WORK, NULL, "not complete", as_json);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the list");
    free(l.names);
    fdio_close(fd);
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

enum command_exit
command_backup(struct options *o, struct err *err)
{
    char wait[24], newest[BACKUP_TIME_MAX];
    const char *args[] = {"backup", wait, NULL, NULL};
    enum command_exit code;
    int socket;

    options_forget_users(o); /* of a configuration file */
    snprintf(wait, sizeof wait, "%llu", (unsigned long long)o->wait_ms);
    if (o->words.n != 1 || o->words.v[0][0] == '\0') {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server backup DIRECTORY [--keep N] [--wait TIME] | [--list "
                "[--json]], with --dir, --config and --run-as as for the server");
        return COMMAND_USAGE;
    }
    if (o->list)
        return list_backups(o->words.v[0], o->json, err);
    if (backup_helper_start(o->words.v[0], o->dir, (size_t)o->keep, o->wait_ms, newest, &socket,
                            err) != 0)
        return COMMAND_FAILED;
    args[2] = newest[0] != '\0' ? newest : NULL;
    if (dup2(socket, STDIN_FILENO) < 0) {
        err_errno(err, "cannot take a socket");
        code = COMMAND_FAILED;
    } else {
        code = control_run(o, command_backup_work, args, err);
    }
    fdio_close(socket);
    return code;
}
