#include "process/commands/command_user.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/access/access_text.h"
#include "domain/access/htpasswd.h"
#include "domain/core/untagged.h"
#include "domain/retention/retain_walk.h"
#include "process/commands/password.h"
#include "process/commands/user_change.h"
#include "process/commands/user_file.h"
#include "process/commands/user_list.h"
#include "process/commands/user_mentions.h"
#include "process/commands/user_verify.h"
#include "process/server/datadir_plan.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/parse.h"
#include "util/random.h"

struct user_command {
    const struct options *options;
    struct user_file file;
    struct user_change change; /* with the name of the user */
    struct password password;  /* for verify */
    int startdir;              /* where the name in --access begins */
    char who[COMMAND_ACTOR_MAX];
};

/* ---- before root is given up, while no other process of the user could look ---- */

/* Reads or makes the password of a user who is no robot, and hashes it. */
static int
make_user_line(struct user_command *c, struct err *err)
{
    struct user_change *change = &c->change;
    uint8_t salt[HTPASSWD_SALT_BYTES];
    int rc = 0;

    if (change->robot)
        return 0;
    if (c->options->generate) {
        password_generate(change->secret);
        snprintf(c->password.text, sizeof c->password.text, "%s", change->secret);
    } else
        rc = password_read(&c->password, change->name, err);
    random_bytes(salt, sizeof salt);
    if (rc == 0)
        rc = htpasswd_add(&change->line, change->name, c->password.text, salt, err);
    return rc;
}

static int
ask_password(struct user_command *c, struct err *err)
{
    return password_ask(&c->password, c->change.name, err);
}

/* ---- the verbs ---- */

static int
put_user(struct user_command *c, struct err *err)
{
    if (user_change_put(&c->file, &c->change, err) != 0)
        return -1;
    command_remember(c->file.dir.fd, c->who, c->change.must_exist ? "user-passwd" : "user-add",
                     c->change.name);
    return 0;
}

static int
del_user(struct user_command *c, struct err *err)
{
    if (user_change_del(&c->file, c->change.name, err) != 0)
        return -1;
    command_remember(c->file.dir.fd, c->who, "user-del", c->change.name);
    user_mentions_warn(&c->file, c->startdir, c->options->access, c->change.name);
    return 0;
}

static int
list_users(struct user_command *c, struct err *err)
{
    return user_list_print(&c->file, c->options->json, err);
}

static int
verify_user(struct user_command *c, struct err *err)
{
    return user_verify_password(&c->file, c->change.name, c->password.text, err);
}

static const struct user_verb {
    const char *name;
    bool takes_name;
    bool makes;   /* the data directory, if it doesn't exist */
    bool secrets; /* takes --robot, --generate and --expires */
    bool json;    /* takes --json */
    int (*prepare)(struct user_command *c, struct err *err); /* as the user who typed it; or NULL */
    int (*run)(struct user_command *c, struct err *err);     /* as the registry's user */
} user_verbs[] = {
    {"add", true, true, true, false, make_user_line, put_user},
    {"passwd", true, false, true, false, make_user_line, put_user},
    {"del", true, false, false, false, NULL, del_user},
    {"list", false, false, false, true, NULL, list_users},
    {"verify", true, false, false, false, ask_password, verify_user},
};

/* ---- the words and options ---- */

static const struct user_verb *
find_user_verb(const struct options *o)
{
    const struct options_list *words = &o->words;
    const struct user_verb *v = user_verbs;
    const struct user_verb *end = v + sizeof user_verbs / sizeof *user_verbs;

    while (v < end && (words->n == 0 || strcmp(words->v[0], v->name) != 0))
        v++;
    if (v == end || words->n != (v->takes_name ? 2 : 1) || (o->json && !v->json) ||
        ((o->robot || o->generate || o->expires != NULL) && !v->secrets))
        return NULL;
    return v;
}

/* --expires: seconds since 1970, or 0. */
static int
parse_expiry(const char *text, uint64_t *expiry_s, struct err *err)
{
    uint64_t now_s = clock_wall_ms() / 1000, ms;

    if (strcmp(text, "never") == 0) {
        *expiry_s = 0;
        return 0;
    }
    /* A number without a unit could be meant as a year, or as days. */
    if (text[strspn(text, "0123456789")] != '\0' && parse_duration_ms(text, &ms) &&
        ms / 1000 <= CLOCK_UTC_MAX - now_s)
        *expiry_s = now_s + ms / 1000;
    else if (!clock_parse_utc(text, expiry_s))
        return err_set(err, ERR_BAD_REQUEST,
                       "--expires %s: must be a time like 12h or 90d, a date like 2027-01-31 or "
                       "2027-01-31T12:00:00Z (UTC), or never",
                       text);
    if (*expiry_s <= now_s)
        return err_set(err, ERR_BAD_REQUEST, "--expires %s: this time is over", text);
    return 0;
}

/* Names that stand for somebody else. */
static int
check_new_name(const char *name, struct err *err)
{
    if (strcmp(name, ACCESS_ANONYMOUS) == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s stands for clients without a user in access rules: take another name",
                       name);
    if (strcmp(name, RETAIN_WALK_ACTOR) == 0 || strcmp(name, UNTAGGED_ACTOR) == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s stands for the server itself in audit: take another name", name);
    return 0;
}

static int
take_words(struct user_command *c, const struct user_verb *v, struct err *err)
{
    const struct options *o = c->options;

    if (v->takes_name) {
        c->change.name = o->words.v[1];
        if (htpasswd_check_name(bytes_str(c->change.name), err) < 0)
            return -1;
        if (v->makes && check_new_name(c->change.name, err) != 0)
            return -1;
    }
    c->change.robot = o->robot;
    c->change.must_exist = !v->makes;
    c->change.expiry_given = o->expires != NULL;
    if (o->expires == NULL)
        return 0;
    if (!o->robot)
        return err_set(err, ERR_BAD_REQUEST, "--expires is for robots: give --robot, too");
    return parse_expiry(o->expires, &c->change.expiry_s, err);
}

/* ---- the whole ---- */

/* Nothing is made by accident in a directory where the command happened to be typed. */
static int
check_place(const struct options *o, struct err *err)
{
    if (o->dir_given || access("db/format", F_OK) == 0 || errno != ENOENT)
        return 0;
    return err_set(err, ERR_BAD_REQUEST,
                   "there is no registry in the current directory: say where it is, or will be, "
                   "with --dir");
}

static int
run_verb(const struct user_verb *v, struct user_command *c, struct err *err)
{
    const struct options *o = c->options;
    struct user_file *f = &c->file;
    int rc;

    if (check_place(o, err) != 0)
        return -1;
    c->startdir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    rc = datadir_plan(o->dir, o->run_as, &f->who, err);
    if (rc == 0 && v->prepare != NULL)
        rc = v->prepare(c, err);
    if (rc == 0)
        rc = v->makes ? datadir_make(&f->dir, o->dir, &f->who, err)
                      : datadir_find(&f->dir, o->dir, &f->who, err);
    umask(0027);
    command_actor(c->who);
    if (rc == 0)
        rc = privileges_drop(&f->who, 0, err);
    if (rc == 0)
        rc = datadir_open_auth(&f->dir, v->makes, &f->who, err);
    f->there = rc > 0;
    if (rc >= 0)
        rc = v->run(c, err);
    fdio_close(f->dir.fd);
    fdio_close(c->startdir);
    return rc;
}

enum command_exit
command_user(struct options *o, struct err *err)
{
    struct user_command c = {.options = o, .file.dir = {.fd = -1, .lock = -1}, .change.name = ""};
    const struct user_verb *v = find_user_verb(o);
    int rc;

    options_forget_users(o); /* of a configuration file */
    if (v == NULL) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server user add NAME | passwd NAME | del NAME | list "
                "[--json] | verify NAME; add and passwd take --generate, or --robot [--expires "
                "WHEN]; all take --dir, --config and --run-as as the server does");
        return COMMAND_USAGE;
    }
    if (take_words(&c, v, err) != 0)
        return COMMAND_USAGE;
    buf_init(&c.change.line, HTPASSWD_MAX);
    rc = run_verb(v, &c, err);
    buf_free(&c.change.line);
    explicit_bzero(&c, sizeof c);
    return rc < 0 ? COMMAND_FAILED : COMMAND_DONE;
}
