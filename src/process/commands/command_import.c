#include "process/commands/command_import.h"
#include <unistd.h>
#include "domain/transfer/import.h"
#include "domain/name.h"
#include "process/commands/import_helper.h"
#include "process/commands/progress.h"
#include "storage/kv/kv.h"
#include "util/fdio.h"

/* ---- the part with the database ---- */

struct work {
    int socket; /* the first member, because import_helper_* get a pointer to it */
    struct control *c;
    struct progress progress;
};

static bool
import_is_over(void *arg)
{
    const struct work *w = arg;

    return control_is_over(w->c);
}

static void
show_import_progress(void *arg, const struct import_counts *n)
{
    struct work *w = arg;

    progress_tell(&w->progress, "%zu of %zu %s, %zu blobs, %.1f MB read", n->at, n->all, n->of,
                  n->blobs, (double)n->bytes / 1e6);
}

static void
print_complaint(void *arg, const char *text)
{
    struct work *w = arg;

    progress_end(&w->progress);
    command_note("%s", text);
}

enum command_exit
command_import_work(struct control *c, struct err *err)
{
    struct work w = {.socket = STDIN_FILENO, .c = c};
    struct import_access access = {
        .open = import_helper_open,
        .listing = import_helper_listing,
        .link = import_helper_link,
        .is_over = import_is_over,
        .tell = show_import_progress,
        .complain = print_complaint,
        .arg = &w,
    };
    struct import_counts n;
    const char *prefix;
    int rc;

    if (c->args_n != 4) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    progress_begin(&w.progress);
    prefix = c->args[2][0] != '\0' ? c->args[2] : NULL;
    kv_keep_room(c->reg->kv);
    rc = import_run(c->reg, &access, c->args[1], prefix, &n, err);
    progress_end(&w.progress);
    command_remember(c->server->dir.fd, c->args[3], rc == 0 ? "import" : "import-failed",
                     c->args[1]);
    if (rc != 0)
        return COMMAND_FAILED;
    printf("imported %zu repositor%s, %zu tag%s, %zu blob%s (%zu linked, %zu copied)\n",
           n.repositories, n.repositories == 1 ? "y" : "ies", n.tags, progress_plural(n.tags),
           n.blobs, progress_plural(n.blobs), n.linked, n.copied);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        err_errno(err, "cannot write what was imported");
        return COMMAND_FAILED;
    }
    if (n.left_out == 0)
        return COMMAND_DONE;
    err_set(err, ERR_BAD_REQUEST, "not everything was imported: see above");
    return COMMAND_FAILED;
}

/* ---- the caller's side ---- */

/* The last part of a path, without trailing slashes. */
static const char *
last_part(char *path)
{
    size_t n = strlen(path);
    const char *slash;

    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

enum command_exit
command_import(struct options *o, struct err *err)
{
    const char *prefix = o->prefix != NULL ? o->prefix : "";
    char who[COMMAND_ACTOR_MAX];
    const char *args[5] = {"import", NULL, prefix, who};
    enum command_exit code;
    int socket;

    command_actor(who);
    options_forget_users(o); /* of a configuration file */
    if (o->words.n != 1 || o->words.v[0][0] == '\0') {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server import PATH [--prefix NAME] [--listing FILE], with "
                "--dir, --config and --run-as as for the server");
        return COMMAND_USAGE;
    }
    if (prefix[0] != '\0' && !name_is_repository(prefix)) {
        err_set(err, ERR_BAD_REQUEST, "--prefix %s: no repository name can begin like this",
                prefix);
        return COMMAND_USAGE;
    }
    if (import_helper_start(o->words.v[0], o->listing, o->dir, &socket, err) != 0)
        return COMMAND_FAILED;
    args[1] = last_part(o->words.v[0]);
    if (dup2(socket, STDIN_FILENO) < 0) {
        err_errno(err, "cannot take a socket");
        code = COMMAND_FAILED;
    } else {
        code = control_run(o, command_import_work, args, err);
    }
    fdio_close(socket);
    return code;
}
