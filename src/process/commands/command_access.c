#include "process/commands/command_access.h"
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>
#include "domain/access/access_groups.h"
#include "domain/access/access_rules.h"
#include "domain/access/access_table.h"
#include "domain/access/access_text.h"
#include "domain/access/htpasswd.h"
#include "domain/name.h"
#include "process/options/option_file.h"
#include "process/server/datadir.h"
#include "process/server/datadir_plan.h"
#include "process/server/privileges.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/utf8.h"

/* All that decides, as it is now in the files. */
struct access_view {
    const struct options *o;
    struct privileges who;
    struct datadir dir;
    int startdir; /* where the name in --access begins */
    struct buf rules, groups, users, compiled;
    struct access_table table;
    const char *rules_name, *users_name;
    bool has_users;
    bool has_expired; /* the robot that is asked for */
};

static const char *
show_user(const char *user)
{
    return *user != '\0' ? user : ACCESS_ANONYMOUS;
}

/* ---- reading ---- */

static int
read_rules_file(struct access_view *v, struct err *err)
{
    v->rules_name = v->o->access != NULL ? v->o->access : ACCESS_RULES_NAME;
    if (v->o->access == NULL)
        return command_read(&v->dir, &v->who, v->rules_name, &v->rules, err);
    return option_file_read(v->startdir, v->o->access, &v->rules, err) == 0 ? 1 : -1;
}

/* A running server also has the users of its command line, in run/htpasswd. */
static int
read_access_view(struct access_view *v, struct err *err)
{
    struct access_sources s;
    int rules = read_rules_file(v, err);
    int groups =
        rules < 0 ? -1 : command_read(&v->dir, &v->who, ACCESS_GROUPS_NAME, &v->groups, err);
    int users;

    v->users_name = datadir_is_served(&v->dir) ? HTPASSWD_RUN : HTPASSWD_OURS;
    users = groups < 0 ? -1 : command_read(&v->dir, &v->who, v->users_name, &v->users, err);
    if (users < 0)
        return -1;
    v->has_users = users > 0 || v->o->users.n > 0 || v->o->trust_remote_user;
    s = (struct access_sources){.has_rules = rules > 0,
                                .rules = buf_bytes(&v->rules),
                                .groups = buf_bytes(&v->groups),
                                .users = buf_bytes(&v->users),
                                .rules_name = v->rules_name};
    return access_table_compile(&s, &v->compiled, err) == 0
               ? access_table_open(&v->table, buf_bytes(&v->compiled), err)
               : -1;
}

static int
open_access_view(struct access_view *v, const struct options *o, struct err *err)
{
    int rc;

    *v = (struct access_view){.o = o, .dir = {.fd = -1, .lock = -1}};
    v->startdir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    buf_init(&v->rules, ACCESS_RULES_MAX);
    buf_init(&v->groups, ACCESS_GROUPS_MAX);
    buf_init(&v->users, ACCESS_USERS_MAX);
    buf_init(&v->compiled, ACCESS_TABLE_MAX);
    rc = v->startdir < 0 ? err_errno(err, "cannot open the current directory")
                         : datadir_plan(o->dir, o->run_as, &v->who, err);
    if (rc == 0)
        rc = datadir_find(&v->dir, o->dir, &v->who, err);
    if (rc == 0)
        rc = privileges_drop(&v->who, 0, err);
    if (rc == 0)
        rc = datadir_open_auth(&v->dir, false, &v->who, err);
    if (rc == 0)
        return datadir_none(o->dir, err);
    return rc < 0 ? -1 : read_access_view(v, err);
}

static void
close_access_view(struct access_view *v)
{
    buf_free(&v->rules);
    buf_free(&v->groups);
    buf_free(&v->users);
    buf_free(&v->compiled);
    fdio_close(v->startdir);
    fdio_close(v->dir.fd);
}

/* A name that is misspelled gets an answer, too. */
static void
look_for_user(struct access_view *v, const char *user)
{
    uint8_t stamp[ACCESS_STAMP_BYTES];
    uint64_t expiry = 0;

    if (*user == '\0' || v->users.n == 0 || v->o->trust_remote_user)
        return;
    if (!access_table_user(&v->table, bytes_str(user), stamp, &expiry))
        command_note("warning: there is no user %s in %s/%s", user, v->dir.name, v->users_name);
    v->has_expired = expiry > 0 && expiry <= clock_wall_ms() / 1000;
    if (v->has_expired)
        command_note("warning: %s has expired, and may do nothing", user);
}

/* The text of a line, without blanks around it; to be freed. */
static char *
copy_rule_text(const struct access_view *v, unsigned line)
{
    struct access_text t = {.rest = buf_bytes(&v->rules)};
    struct bytes text = {NULL, 0}, word;
    const char *begin = "", *end = begin;

    while (t.line < line && access_text_next(&t, &text))
        continue;
    while (access_text_word(&text, &word)) {
        if (end == begin)
            begin = word.p;
        end = (const char *)word.p + word.n;
    }
    return mem_copy(begin, (size_t)(end - begin));
}

/* ---- check ---- */

/* The answer for one right. */
struct answer {
    bool allowed;
    unsigned line;   /* that decides; 0: none */
    const char *why; /* if there is no such line */
};

static struct answer
answer_without_rules(const struct access_view *v, const char *user, unsigned right)
{
    if (!v->has_users)
        return (struct answer){true, 0, "there are no users: everybody may do everything"};
    if (*user != '\0')
        return (struct answer){true, 0, "there are no access rules: each user may do everything"};
    if (right == RIGHT_PULL && v->o->anonymous_pull)
        return (struct answer){true, 0, "--anonymous-pull"};
    return (struct answer){false, 0, "there are no access rules: only users may do anything"};
}

static unsigned
rights_of_line(const struct access_view *v, const char *user, unsigned line)
{
    struct access_line *lines;
    unsigned rights = 0;
    size_t n;

    lines = access_table_lines(&v->table, user, &n);
    for (size_t i = 0; i < n; i++)
        if (lines[i].line == line)
            rights = lines[i].rights;
    free(lines);
    return rights;
}

/* Of the two lines that decide for a user, the one for anonymous clients is shown only if the other
 * one doesn't give the right. */
static struct answer
answer_question(const struct access_view *v, const char *user, const char *repository,
                unsigned right)
{
    struct answer a = {.why = "no line matches"};
    struct access_decision d;

    if (v->has_expired)
        return (struct answer){false, 0, "this robot has expired"};
    if (!access_table_has_rules(&v->table))
        return answer_without_rules(v, user, right);
    access_table_decide(&v->table, user, repository, &d);
    a.allowed = (d.rights & right) != 0;
    a.line = d.line;
    if (d.line == 0 || (a.allowed && (rights_of_line(v, user, d.line) & right) == 0))
        a.line = d.anonymous_line;
    return a;
}

static void
print_answer(const struct access_view *v, const char *right, const struct answer *a)
{
    const char *allowed = a->allowed ? "allowed" : "denied";
    char *text;

    if (a->line == 0) {
        printf("%s: %s: %s\n", right, allowed, a->why);
        return;
    }
    text = copy_rule_text(v, a->line);
    printf("%s: %s by %s:%u: %s\n", right, allowed, v->rules_name, a->line, text);
    free(text);
}

/* The text may have any bytes. */
static void
set_mended(struct json *object, const char *name, const char *text)
{
    char *copy = mem_strdup(text);

    utf8_mend(copy);
    json_set_string(object, name, copy);
    free(copy);
}

static void
set_rule(struct json *object, const struct access_view *v, unsigned line)
{
    char *text = copy_rule_text(v, line);

    set_mended(object, "file", v->rules_name);
    json_set_u64(object, "line", line);
    set_mended(object, "rule", text);
    free(text);
}

static struct json *
make_json_answer(const struct access_view *v, const char *right, const struct answer *a)
{
    struct json *j = json_new_object();

    json_set_string(j, "right", right);
    json_set_bool(j, "allowed", a->allowed);
    if (a->line != 0)
        set_rule(j, v, a->line);
    else
        json_set_string(j, "why", a->why);
    return j;
}

static enum command_exit
finish_access_output(struct err *err)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return COMMAND_DONE;
    err_errno(err, "cannot write the answer");
    return COMMAND_USAGE;
}

static enum command_exit
check_access(const struct access_view *v, const char *user, const char *verb, const char *name,
             struct err *err)
{
    char repository[RECORD_REPOSITORY_MAX + 1], tag[RECORD_TAG_MAX + 1];
    struct json *object = json_new_object(), *answers = json_new_array();
    enum command_exit code;
    unsigned rights = 0;
    bool allowed = true;

    name_split(name, strlen(name), repository, tag);
    access_rules_verb(bytes_str(verb), &rights);
    for (unsigned right = 1; right <= RIGHT_ADMIN; right <<= 1) {
        char word[ACCESS_RIGHTS_TEXT_MAX];
        struct answer a;

        if ((rights & right) == 0)
            continue;
        access_rules_rights_text(word, right);
        a = answer_question(v, user, repository, right);
        allowed = allowed && a.allowed;
        if (v->o->json)
            json_add(answers, make_json_answer(v, word, &a));
        else
            print_answer(v, word, &a);
    }
    set_mended(object, "user", show_user(user));
    json_set_string(object, "repository", repository);
    json_set_string(object, "tag", tag);
    json_set_bool(object, "allowed", allowed);
    json_set(object, "answers", answers);
    if (v->o->json)
        command_print("", object, "\n");
    else
        json_free(object);
    code = finish_access_output(err);
    if (code != COMMAND_DONE || allowed)
        return code;
    err_set(err, ERR_DENIED, "denied: %s, %s, %s", show_user(user), verb, name);
    return COMMAND_FAILED;
}

/* ---- list ---- */

/* user: NULL for all lines, of which there are n. */
static void
note_without_lines(const struct access_view *v, const char *user, size_t n)
{
    if (access_table_has_rules(&v->table)) {
        if (user == NULL && n == 0)
            command_note("%s has no line: nobody may do anything", v->rules_name);
        if (user != NULL && access_table_anywhere(&v->table, user) == 0)
            command_note("no line of %s gives %s anything", v->rules_name, show_user(user));
    } else if (!v->has_users) {
        command_note("there are no users: everybody may do everything");
    } else if (user == NULL) {
        command_note("there are no access rules: each user may do everything, and clients without "
                     "a user may %s",
                     v->o->anonymous_pull ? "pull (--anonymous-pull)" : "do nothing");
    } else if (*user != '\0') {
        command_note("there are no access rules: each user may do everything");
    } else {
        command_note(v->o->anonymous_pull
                         ? "there are no access rules: with --anonymous-pull, clients without "
                           "a user may pull"
                         : "there are no access rules: clients without a user may do nothing");
    }
}

static struct json *
make_json_rights(unsigned rights)
{
    struct json *array = json_new_array();

    for (unsigned right = 1; right <= RIGHT_ADMIN; right <<= 1) {
        char word[ACCESS_RIGHTS_TEXT_MAX];

        access_rules_rights_text(word, right);
        if ((rights & right) != 0)
            json_add_string(array, word);
    }
    return array;
}

static void
print_access_line(const struct access_view *v, const struct access_line *l)
{
    char rights[ACCESS_RIGHTS_TEXT_MAX];
    char *text = copy_rule_text(v, l->line);

    access_rules_rights_text(rights, l->rights);
    printf("%s:%u\t%s\t%s\n", v->rules_name, l->line, rights, text);
    free(text);
}

/* user: NULL for all lines. */
static enum command_exit
list_access(const struct access_view *v, const char *user, struct err *err)
{
    struct json *array = json_new_array();
    struct access_line *lines;
    size_t n;

    lines = access_table_lines(&v->table, user, &n);
    note_without_lines(v, user, n);
    for (size_t i = 0; i < n; i++) {
        struct json *j;

        if (!v->o->json) {
            print_access_line(v, &lines[i]);
            continue;
        }
        j = json_new_object();
        set_rule(j, v, lines[i].line);
        json_set(j, "rights", make_json_rights(lines[i].rights));
        json_add(array, j);
    }
    free(lines);
    if (v->o->json)
        command_print("", array, "\n");
    else
        json_free(array);
    return finish_access_output(err);
}

/* ---- the whole ---- */

static int
check_question(const struct options_list *w, struct err *err)
{
    char repository[RECORD_REPOSITORY_MAX + 1], tag[RECORD_TAG_MAX + 1];
    bool check = w->n == 4 && strcmp(w->v[0], "check") == 0;
    unsigned rights = 0;
    struct err why;

    if (!check && (w->n < 1 || w->n > 2 || strcmp(w->v[0], "list") != 0))
        return err_set(err, ERR_BAD_REQUEST,
                       "usage: docker-registry-server access check USER VERB NAME[:TAG] | list "
                       "[USER], with --dir, --config, --access, --json and --run-as");
    if (w->n == 1)
        return 0;
    if (htpasswd_check_name(bytes_str(w->v[1]), &why) != 0)
        return err_set(err, ERR_BAD_REQUEST, "%s is no user: %s", w->v[1], why.message);
    if (!check)
        return 0;
    if (!access_rules_verb(bytes_str(w->v[2]), &rights) || rights == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s is no verb (pull, push, create, overwrite, delete, admin, all)",
                       w->v[2]);
    if (!name_split(w->v[3], strlen(w->v[3]), repository, tag))
        return err_set(err, ERR_BAD_REQUEST,
                       "%s is no NAME or NAME:TAG: a name has a-z, 0-9, ., _, - and /", w->v[3]);
    return 0;
}

enum command_exit
command_access(struct options *o, struct err *err)
{
    const struct options_list *w = &o->words;
    const size_t n = w->n;
    enum command_exit code = COMMAND_USAGE;
    struct access_view v;
    const char *user = NULL;

    options_forget_users(o); /* of a configuration file */
    if (check_question(w, err) != 0)
        return COMMAND_USAGE;
    if (n > 1)
        user = strcmp(w->v[1], ACCESS_ANONYMOUS) == 0 ? "" : w->v[1];
    if (open_access_view(&v, o, err) == 0) {
        if (user != NULL)
            look_for_user(&v, user);
        code = n == 4 ? check_access(&v, user, w->v[2], w->v[3], err) : list_access(&v, user, err);
    }
    close_access_view(&v);
    return code;
}
