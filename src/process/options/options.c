#include "process/options/options.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include "domain/events/hook.h"
#include "process/options/absolute_path.h"
#include "process/options/options_table.h"
#include "process/options/options_value.h"
#include "process/options/option_file.h"
#include "storage/layers/layer_scan.h"
#include "util/kvfile.h"
#include "util/banned.h"

#define CONFIG_MAX (1u << 20)
#define DEFAULT_PORT "8000"

struct parser {
    struct options *o;
    bool given[OPTIONS_TABLE_MAX]; /* on the command line */
};

/* ---- the command line ---- */

/* The row of one argument, and its value when it has it inside (else NULL). NULL: unknown. */
static const struct options_row *
read_argument(char *arg, char **value, struct err *err)
{
    const struct options_row *row;
    *value = NULL;
    if (strncmp(arg, "--", 2) == 0 && arg[2] != '\0') {
        size_t n = strcspn(arg + 2, "=");
        if (arg[2 + n] == '=')
            *value = arg + 3 + n;
        row = options_table_by_name(arg + 2, n);
        if (row == NULL)
            err_set(err, ERR_BAD_REQUEST,
                    "unknown option --%.*s: see docker-registry-server --help", (int)n, arg + 2);
        return row;
    }
    if (arg[0] != '-' || arg[1] == '\0' || arg[1] == '-') {
        err_set(err, ERR_BAD_REQUEST, "unexpected argument %s: see docker-registry-server --help",
                arg);
        return NULL;
    }
    if (arg[2] != '\0')
        *value = arg + 2;
    row = options_table_by_letter(arg[1]);
    if (row == NULL)
        err_set(err, ERR_BAD_REQUEST, "unknown option -%c: see docker-registry-server --help",
                arg[1]);
    return row;
}

static int
parse_command_line(struct parser *p, int argc, char **argv, struct err *err)
{
    bool named = argc > 1 && *argv[1] != '-';
    p->o->command = named ? argv[1] : "serve";
    bool takes_words = strcmp(p->o->command, "serve") != 0;
    for (int i = named ? 2 : 1; i < argc; i++) {
        char *value;
        if (takes_words && *argv[i] != '-') {
            if (options_value_add(&p->o->words, argv[i], p->o->command, err) < 0)
                return -1;
            continue;
        }
        const struct options_row *row = read_argument(argv[i], &value, err);
        if (row == NULL)
            return -1;
        char what[32];
        snprintf(what, sizeof what, "--%s", row->name);
        if (row->kind == OPTIONS_FLAG) {
            if (value != NULL)
                return err_set(err, ERR_BAD_REQUEST, "%s takes no value", what);
            options_value_set(p->o, row, "", what, err);
            if (p->o->help || p->o->version)
                return 0;
            continue;
        }
        if (value == NULL) {
            value = i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0 ? argv[++i] : NULL;
            if (value == NULL)
                return err_set(err, ERR_BAD_REQUEST, "%s needs a value: %s [%s]", what, what,
                               row->arg);
        }
        int r = options_value_set(p->o, row, value, what, err);
        if (row->kind == OPTIONS_USERS)
            memset(value, '*', strlen(value));
        if (r < 0)
            return -1;
        p->given[row - options_table] = true;
    }
    return 0;
}

/* ---- the file ---- */

static int
apply_config_line(const char *name, const char *value, int line, void *arg, struct err *err)
{
    struct parser *p = arg;
    char what[128];
    const struct options_row *row = options_table_by_name(name, strlen(name));
    if (row == NULL || row->command_line_only)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s, line %d: unknown name %s: it takes the names of --help without dashes",
                       p->o->config, line, name);
    snprintf(what, sizeof what, "%s, line %d: %s", p->o->config, line, name);
    if (row->kind == OPTIONS_FLAG && value != NULL)
        return err_set(err, ERR_BAD_REQUEST, "%s takes no value: leave out what follows the name",
                       what);
    if (row->kind == OPTIONS_FLAG)
        return options_value_set(p->o, row, "", what, err);
    if (value == NULL)
        return err_set(err, ERR_BAD_REQUEST, "%s needs a value: %s = [%s]", what, name, row->arg);
    if (p->given[row - options_table] && !row->repeatable)
        return 0;
    return options_value_set(p->o, row, value, what, err);
}

static int
parse_file(struct parser *p, struct err *err)
{
    struct buf text;
    buf_init(&text, CONFIG_MAX);
    int r = option_file_read(AT_FDCWD, p->o->config, &text, err);
    if (r == 0)
        r = kvfile_each(buf_bytes(&text), apply_config_line, p, err);
    if (text.p != NULL)
        explicit_bzero(text.p, text.n);
    buf_free(&text);
    if (r < 0 && strstr(err->message, p->o->config) == NULL) {
        struct err inner = *err;
        return err_set(err, inner.code, "%s, %s", p->o->config, inner.message);
    }
    return r;
}

/* ---- the whole ---- */

static void
forget_list(struct options_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->v[i]);
        list->v[i] = NULL;
    }
    list->n = 0;
}

void
options_forget_users(struct options *o)
{
    for (size_t i = 0; i < o->users.n; i++) {
        if (o->users.v[i] != NULL)
            explicit_bzero(o->users.v[i], strlen(o->users.v[i]));
        free(o->users.v[i]);
        o->users.v[i] = NULL;
    }
}

void
options_free(struct options *o)
{
    options_forget_users(o);
    forget_list(&o->words);
    forget_list(&o->users);
    forget_list(&o->ports);
    forget_list(&o->tls_ports);
    forget_list(&o->listen);
    forget_list(&o->cors);
    char **const texts[] = {&o->dir,    &o->fastcgi,  &o->sockets, &o->name,    &o->base_url,
                            &o->run_as, &o->tls_cert, &o->tls_key, &o->config,  &o->retry,
                            &o->drop,   &o->hooks,    &o->prefix,  &o->listing, &o->output};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        free(o->on[i]);
        o->on[i] = NULL;
    }
}

static uint64_t
at_least_cores(uint64_t least)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < (long)least)
        return least;
    return cores > OPTIONS_COUNT_MAX ? OPTIONS_COUNT_MAX : (uint64_t)cores;
}

/* --port, else $PORT, else 8000. With --tls-port alone nothing is plain that wasn't asked for. */
static int
fill_in_port(struct options *o, struct err *err)
{
    if (o->ports.n > 0 || o->fastcgi != NULL)
        return 0;
    const char *port = getenv("PORT");
    if (port != NULL && *port != '\0')
        return options_value_add_port(&o->ports, port, "PORT in the environment:", err);
    if (o->tls_ports.n > 0)
        return 0;
    return options_value_add_port(&o->ports, DEFAULT_PORT, "port", err);
}

/* The sockets' full names: nginx needs those, and they may not be longer than the kernel allows. */
static int
fill_in_sockets(struct options *o, struct err *err)
{
    const size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    char *full = absolute_path(o->fastcgi, err);
    if (full == NULL)
        return -1;
    size_t n = strlen(full);
    if (n + 1 + OPTIONS_SOCKET_NAME_MAX > room) {
        free(full);
        return err_set(err, ERR_BAD_REQUEST,
                       "--fastcgi %.100s: the names of the sockets there would have more than %zu "
                       "bytes: choose a directory with a shorter name",
                       o->fastcgi, room);
    }
    o->sockets = malloc(n + 2);
    if (o->sockets == NULL)
        err_errno(err, "out of memory");
    else
        snprintf(o->sockets, n + 2, strcmp(full, "/") == 0 ? "%s" : "%s/", full);
    free(full);
    return o->sockets != NULL ? 0 : -1;
}

/* The working directory is another one later. */
static int
fill_in_hooks(struct options *o, struct err *err)
{
    char *full = o->hooks != NULL ? absolute_path(o->hooks, err) : NULL;
    if (o->hooks != NULL && full == NULL)
        return -1;
    free(o->hooks);
    o->hooks = full;
    return 0;
}

/* What makes no sense with, or without, an nginx of somebody else's. */
static int
check_fastcgi(const struct options *o, struct err *err)
{
    const struct {
        const char *name;
        bool given;
    } ours[] = {
        {"port", o->ports.n > 0},         {"listen", o->listen.n > 0},
        {"tls-port", o->tls_ports.n > 0}, {"tls-cert", o->tls_cert != NULL},
        {"tls-key", o->tls_key != NULL},
    };
    for (size_t i = 0; o->fastcgi != NULL && i < sizeof ours / sizeof *ours; i++)
        if (ours[i].given)
            return err_set(err, ERR_BAD_REQUEST,
                           "--%s and --fastcgi can't be together: with --fastcgi your own nginx "
                           "has the ports and certificates",
                           ours[i].name);
    if (o->trust_remote_user && o->fastcgi == NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       "--trust-remote-user is for your own nginx in front: it needs --fastcgi");
    if (o->trust_remote_user && o->users.n > 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "--user and --trust-remote-user can't be together: with the latter your own "
                       "nginx knows the users");
    bool prints = strcmp(o->command, OPTIONS_PRINT_NGINX_CONF) == 0;
    if ((o->json || o->retry != NULL || o->drop != NULL) && strcmp(o->command, "hooks") != 0)
        return err_set(err, ERR_BAD_REQUEST, "--%s is for the command hooks only",
                       o->json            ? "json"
                       : o->retry != NULL ? "retry"
                                          : "drop");
    if ((o->prefix != NULL || o->listing != NULL) && strcmp(o->command, "import") != 0)
        return err_set(err, ERR_BAD_REQUEST, "--%s is for the command import only",
                       o->prefix != NULL ? "prefix" : "listing");
    if (o->output != NULL && strcmp(o->command, "export") != 0)
        return err_set(err, ERR_BAD_REQUEST, "--output is for the command export only");
    if ((o->http_part || o->server_part) && !prints)
        return err_set(err, ERR_BAD_REQUEST, "--%s is for " OPTIONS_PRINT_NGINX_CONF " only",
                       o->http_part ? "http" : "server");
    if (prints && o->fastcgi == NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       OPTIONS_PRINT_NGINX_CONF
                       " needs --fastcgi DIR, where the sockets of the server are");
    return 0;
}

static int
check_together(const struct options *o, struct err *err)
{
    if (o->tls_cert != NULL && o->tls_key == NULL)
        return err_set(err, ERR_BAD_REQUEST, "--tls-cert needs its key too: give --tls-key FILE");
    if (o->tls_key != NULL && o->tls_cert == NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       "--tls-key needs its certificate too: give --tls-cert FILE");
    if (o->tls_ports.n > 0 && o->tls_cert == NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       "--tls-port needs a certificate: give --tls-cert FILE and --tls-key FILE");
    if (o->index_memory < OPTIONS_INDEX_MEMORY_MIN)
        return err_set(err, ERR_BAD_REQUEST, "--index-memory: at least 128M is wanted");
    for (size_t i = 0; i < o->ports.n; i++)
        for (size_t j = 0; j < o->tls_ports.n; j++)
            if (strcmp(o->ports.v[i], o->tls_ports.v[j]) == 0 && strcmp(o->ports.v[i], "0") != 0)
                return err_set(
                    err, ERR_BAD_REQUEST,
                    "port %s can't be both --port and --tls-port: choose another for one",
                    o->ports.v[i]);
    return 0;
}

int
options_parse(struct options *o, int argc, char **argv, struct err *err)
{
    struct parser p = {.o = o};
    *o = (struct options){
        .workers = at_least_cores(4),
        .bulk_workers = at_least_cores(2),
        .browse_workers = 4,
        .index_wait_ms = UINT64_C(10) * 1000,
        .watchdog_ms = UINT64_C(30) * 1000,
        .lease_ms = UINT64_C(3600) * 1000,
        .upload_expiry_ms = UINT64_C(24) * 3600 * 1000,
        .gc_interval_ms = UINT64_C(60) * 1000,
        .hook_timeout_ms = UINT64_C(600) * 1000,
        .hook_jobs = 4,
        .hook_retries = 5,
        .pre_hook_timeout_ms = UINT64_C(30) * 1000,
        .event_keep_ms = UINT64_C(30) * 24 * 3600 * 1000,
        .max_repositories = 100000,
        .max_tags = 100000,
        .max_uploads = 100,
        .index_jobs = at_least_cores(1),
        .index_memory = UINT64_C(512) << 20,
        .index_time_ms = UINT64_C(600) * 1000,
        .index_max_entries = layer_scan_defaults.tree.entries,
        .index_max_depth = layer_scan_defaults.tree.depth,
        .index_max_output = layer_scan_defaults.output,
        .index_max_ratio = layer_scan_defaults.ratio,
        .log_level = LOG_INFO,
    };
    if (parse_command_line(&p, argc, argv, err) < 0)
        return -1;
    if (o->help || o->version)
        return 0;
    if (o->config != NULL && parse_file(&p, err) < 0)
        return -1;
    if (o->dir == NULL && options_value_text(&o->dir, ".", err) < 0)
        return -1;
    if (o->name == NULL && options_value_text(&o->name, "main", err) < 0)
        return -1;
    if (check_fastcgi(o, err) < 0 || fill_in_port(o, err) < 0 || fill_in_hooks(o, err) < 0)
        return -1;
    if (o->fastcgi != NULL && fill_in_sockets(o, err) < 0)
        return -1;
    return check_together(o, err);
}

void
options_help(FILE *to)
{
    fputs("Usage: docker-registry-server [options]\n\n", to);
    for (size_t i = 0; i < options_table_n; i++) {
        const struct options_row *row = &options_table[i];
        char left[64];
        int n;
        if (row->kind == OPTIONS_SCRIPT) {
            if (row->at == offsetof(struct options, on[HOOK_IMAGE]))
                fputs("  --on-{hook} [script]     specify a hook\n", to);
            continue;
        }
        if (row->letter != '\0')
            n = snprintf(left, sizeof left, "--%s,%*s-%c  [%s]", row->name,
                         (int)(strlen("port ") - strlen(row->name)), "", row->letter, row->arg);
        else if (row->arg != NULL)
            n = snprintf(left, sizeof left, "--%s  [%s]", row->name, row->arg);
        else
            n = snprintf(left, sizeof left, "--%s", row->name);
        (void)n;
        fprintf(to, "  %-23s  %s\n", left, row->help);
    }
    fputs("\n"
          "Hooks: image layer verify index tag untag manifest delete, and pre-tag and pre-delete,\n"
          "which may refuse. See \"docker-registry-server help hooks.5\".\n\n",
          to);
}
