#include "process/options.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include "domain/hook.h"
#include "domain/htpasswd.h"
#include "process/base_url.h"
#include "process/fullname.h"
#include "process/server.h"
#include "process/userfile.h"
#include "util/kvfile.h"
#include "util/parse.h"
#include "util/banned.h"

#define CONFIG_MAX (1u << 20)
#define DEFAULT_PORT "8000"
#define WORKERS_MAX 100
/* Longer variables need a change of the site's variables_hash_bucket_size. */
#define NAME_MAX_BYTES 22
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyz0123456789_"
#define PRINT_NGINX_CONF "print-nginx-conf"

enum kind {
    KIND_FLAG,
    KIND_TEXT,
    KIND_ADDRESSES,
    KIND_PORTS,
    KIND_USERS,
    KIND_SCRIPT,
    KIND_COUNT,    /* 1..WORKERS_MAX */
    KIND_TRIES,    /* 0..WORKERS_MAX */
    KIND_DURATION, /* may be 0 */
    KIND_PERIOD,   /* may not */
    KIND_SIZE,
    KIND_LIMIT, /* 0: none */
    KIND_LEVEL,
    KIND_NAME,
    KIND_URL,
    KIND_ORIGINS,
};

static const struct row {
    const char *name;
    char letter;     /* NUL: none */
    const char *arg; /* as --help shows it; NULL for a flag */
    const char *help;
    enum kind kind;
    bool repeatable;
    size_t at; /* of the member of struct options */
    bool command_line_only;
} rows[] = {
#define AT(member) offsetof(struct options, member)
/* One line of --help stands for all of these. */
#define ON(name, hook)                                                         \
    {                                                                          \
        "on-" name, 0, "script", NULL, KIND_SCRIPT, false, AT(on[hook]), false \
    }
    {"port", 'p', "port", "port to listen on", KIND_PORTS, true, AT(ports), false},
    {"dir", 'd', "directory", "set directory to store data in", KIND_TEXT, false, AT(dir), false},
    {"user", 'u', "user:pass", "authenticate access", KIND_USERS, true, AT(users), false},
    ON("image", HOOK_IMAGE),
    ON("layer", HOOK_LAYER),
    ON("verify", HOOK_VERIFY),
    ON("index", HOOK_INDEX),
    ON("tag", HOOK_TAG),
    ON("untag", HOOK_UNTAG),
    ON("manifest", HOOK_MANIFEST),
    ON("delete", HOOK_DELETE),
    ON("pre-tag", HOOK_PRE_TAG),
    ON("pre-delete", HOOK_PRE_DELETE),
    {"hooks", 0, "directory", "where hooks are files (hooks/ of the data)", KIND_TEXT, false,
     AT(hooks), false},
    {"listen", 0, "address", "address to listen on (all, IPv4 and IPv6)", KIND_ADDRESSES, true,
     AT(listen), false},
    {"tls-cert", 0, "file", "certificate (chain): every --port speaks TLS", KIND_TEXT, false,
     AT(tls_cert), false},
    {"tls-key", 0, "file", "its key", KIND_TEXT, false, AT(tls_key), false},
    {"tls-port", 0, "port", "port that speaks TLS; then --port stays plain", KIND_PORTS, true,
     AT(tls_ports), false},
    {"fastcgi", 0, "directory", "put sockets there for your own nginx, and start none", KIND_TEXT,
     false, AT(fastcgi), false},
    {"name", 0, "name", "tells registries in one nginx apart (main)", KIND_NAME, false, AT(name),
     false},
    {"trust-remote-user", 0, NULL, "users are those of your own nginx", KIND_FLAG, false,
     AT(trust_remote_user), false},
    {"base-url", 0, "url", "put this in front of Locations (they are relative)", KIND_URL, false,
     AT(base_url), false},
    {"cors", 0, "origin", "let web pages from there use the API; * for any", KIND_ORIGINS, true,
     AT(cors), false},
    {"run-as", 0, "user", "when started as root: become this user (www-data)", KIND_TEXT, false,
     AT(run_as), false},
    {"workers", 0, "n", "processes for small requests (4, or the cores)", KIND_COUNT, false,
     AT(workers), false},
    {"bulk-workers", 0, "n", "processes for uploads (2, or the cores)", KIND_COUNT, false,
     AT(bulk_workers), false},
    {"watchdog", 0, "time", "replace a process that hangs this long (30s)", KIND_PERIOD, false,
     AT(watchdog_ms), false},
    {"config", 0, "file", "read options from a file: name=value a line", KIND_TEXT, false,
     AT(config), true},
    {"lease", 0, "time", "keep what no image uses this long (1h)", KIND_DURATION, false,
     AT(lease_ms), false},
    {"upload-expiry", 0, "time", "drop an upload this long after its last byte (24h)", KIND_PERIOD,
     false, AT(upload_expiry_ms), false},
    {"gc-interval", 0, "time", "collect garbage this often (60s)", KIND_PERIOD, false,
     AT(gc_interval_ms), false},
    {"max-blob-size", 0, "size", "refuse larger layers (0: no limit)", KIND_SIZE, false,
     AT(max_blob_size), false},
    {"hook-timeout", 0, "time", "kill a hook after this (10m)", KIND_PERIOD, false,
     AT(hook_timeout_ms), false},
    {"hook-jobs", 0, "n", "hooks that run at once (4)", KIND_COUNT, false, AT(hook_jobs), false},
    {"hook-retries", 0, "n", "try a hook that fails so often again (5)", KIND_TRIES, false,
     AT(hook_retries), false},
    {"pre-hook-timeout", 0, "time", "refuse when a pre-hook takes longer (30s)", KIND_PERIOD, false,
     AT(pre_hook_timeout_ms), false},
    {"event-keep", 0, "time", "drop events after this (30d)", KIND_PERIOD, false, AT(event_keep_ms),
     false},
    {"max-repositories", 0, "n", "refuse further repositories (100000; 0: no limit)", KIND_LIMIT,
     false, AT(max_repositories), false},
    {"max-tags", 0, "n", "refuse further tags of a repository (100000)", KIND_LIMIT, false,
     AT(max_tags), false},
    {"max-uploads", 0, "n", "refuse further uploads at once of a user (100)", KIND_LIMIT, false,
     AT(max_uploads), false},
    {"log-level", 0, "level", "error, warn, info or debug (info)", KIND_LEVEL, false, AT(log_level),
     false},
    {"http", 0, NULL, PRINT_NGINX_CONF ": only the part for http { }", KIND_FLAG, false,
     AT(http_part), true},
    {"server", 0, NULL, PRINT_NGINX_CONF ": only the part for server { }", KIND_FLAG, false,
     AT(server_part), true},
    {"json", 0, NULL, "hooks: print JSON", KIND_FLAG, false, AT(json), true},
    {"retry", 0, "id", "hooks: try this one again, now", KIND_TEXT, false, AT(retry), true},
    {"drop", 0, "id", "hooks: forget this one", KIND_TEXT, false, AT(drop), true},
    {"help", 0, NULL, "print this", KIND_FLAG, false, AT(help), true},
    {"version", 0, NULL, "print the version", KIND_FLAG, false, AT(version), true},
#undef ON
#undef AT
};

#define ROWS (sizeof rows / sizeof *rows)

struct parser {
    struct options *o;
    bool given[ROWS]; /* on the command line */
};

/* ---- values ---- */

static int
set_text(char **to, const char *value, struct err *err)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return err_errno(err, "out of memory");
    free(*to);
    *to = copy;
    return 0;
}

/* gcc's analyzer loses sight of what is in an array. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
static int
add_text(struct options_list *list, const char *value, const char *what, struct err *err)
{
    if (list->n == OPTIONS_MANY_MAX)
        return err_set(err, ERR_BAD_REQUEST, "%s: given more than %d times", what,
                       OPTIONS_MANY_MAX);
    char *copy = strdup(value);
    if (copy == NULL)
        return err_errno(err, "out of memory");
    list->v[list->n++] = copy;
    return 0;
}
#pragma GCC diagnostic pop

static int
add_port(struct options_list *list, const char *value, const char *what, struct err *err)
{
    uint64_t port;
    if (!parse_u64(value, strlen(value), &port) || port > 65535)
        return err_set(err, ERR_BAD_REQUEST, "%s %s: not a port number (0 to 65535, 0 for any)",
                       what, value);
    char text[8];
    snprintf(text, sizeof text, "%u", (unsigned)port);
    return add_text(list, text, what, err);
}

/* Kept without the brackets that IPv6 may have. */
static int
add_address(struct options_list *list, const char *value, const char *what, struct err *err)
{
    char bare[64];
    unsigned char address[sizeof(struct in6_addr)];
    size_t n = strlen(value);
    bool brackets = n > 2 && value[0] == '[' && value[n - 1] == ']';
    snprintf(bare, sizeof bare, "%.*s", (int)(brackets ? n - 2 : n), value + brackets);
    if (strcmp(bare, "localhost") != 0 && inet_pton(AF_INET, bare, address) != 1 &&
        inet_pton(AF_INET6, bare, address) != 1)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s %s: an address is wanted, such as 127.0.0.1, ::1 or localhost", what,
                       value);
    return add_text(list, bare, what, err);
}

/* The message never holds the value: half of it is a password. */
static int
add_user(struct options_list *list, const char *value, const char *what, struct err *err)
{
    const char *colon = strchr(value, ':');
    struct err why;
    if (colon == NULL || colon == value || colon[1] == '\0')
        return err_set(err, ERR_BAD_REQUEST, "%s: NAME:PASSWORD is wanted, neither of them empty",
                       what);
    if (htpasswd_check_name(bytes_of(value, (size_t)(colon - value)), &why) < 0 ||
        htpasswd_check_password(bytes_str(colon + 1), &why) < 0)
        return err_set(err, ERR_BAD_REQUEST, "%s: %s", what, why.message);
    return add_text(list, value, what, err);
}

static int
set_number(uint64_t *to, enum kind kind, const char *value, const char *what, struct err *err)
{
    uint64_t n;
    switch (kind) {
    case KIND_COUNT:
    case KIND_TRIES:
        if (!parse_u64(value, strlen(value), &n) || n < (kind == KIND_COUNT) || n > WORKERS_MAX)
            return err_set(err, ERR_BAD_REQUEST, "%s %s: a number from %d to %d is wanted", what,
                           value, kind == KIND_COUNT, WORKERS_MAX);
        break;
    case KIND_LIMIT:
        if (!parse_u64(value, strlen(value), &n))
            return err_set(err, ERR_BAD_REQUEST, "%s %s: a number is wanted, 0 for no limit", what,
                           value);
        break;
    case KIND_SIZE:
        if (!parse_size(value, &n))
            return err_set(err, ERR_BAD_REQUEST, "%s %s: a size like 512K, 20M or 4G is wanted",
                           what, value);
        break;
    default:
        if (!parse_duration_ms(value, &n) || (kind == KIND_PERIOD && n == 0))
            return err_set(err, ERR_BAD_REQUEST, "%s %s: a time like 90s, 10m, 6h or 30d is wanted",
                           what, value);
        break;
    }
    *to = n;
    return 0;
}

static int
set_name(char **to, const char *value, const char *what, struct err *err)
{
    size_t n = strlen(value);
    if (strspn(value, NAME_BYTES) != n || n > NAME_MAX_BYTES)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s %s: small letters, digits and _ are wanted, at most %d of them", what,
                       value, NAME_MAX_BYTES);
    return set_text(to, value, err);
}

static int
set_url(char **to, const char *value, const char *what, struct err *err)
{
    char *url = base_url_parse(value, what, err);
    if (url == NULL)
        return -1;
    free(*to);
    *to = url;
    return 0;
}

/* what: how the option is called in messages. */
static int
set_value(struct options *o, const struct row *row, const char *value, const char *what,
          struct err *err)
{
    void *to = (char *)o + row->at;
    if (row->kind != KIND_FLAG && *value == '\0')
        return err_set(err, ERR_BAD_REQUEST, "%s: the value is empty; a %s is wanted", what,
                       row->arg);
    switch (row->kind) {
    case KIND_FLAG:
        *(bool *)to = true;
        return 0;
    case KIND_TEXT:
        return set_text(to, value, err);
    case KIND_SCRIPT:
        if (strlen(value) > HOOK_SCRIPT_MAX)
            return err_set(err, ERR_BAD_REQUEST,
                           "%s: the script has more than %d bytes: put it into a file", what,
                           HOOK_SCRIPT_MAX);
        return set_text(to, value, err);
    case KIND_ADDRESSES:
        return add_address(to, value, what, err);
    case KIND_PORTS:
        return add_port(to, value, what, err);
    case KIND_USERS:
        return add_user(to, value, what, err);
    case KIND_LEVEL:
        if (!log_level_parse(value, to))
            return err_set(err, ERR_BAD_REQUEST, "%s %s: error, warn, info or debug is wanted",
                           what, value);
        return 0;
    case KIND_NAME:
        return set_name(to, value, what, err);
    case KIND_URL:
        return set_url(to, value, what, err);
    case KIND_ORIGINS:
        return base_url_check_origin(value, what, err) < 0 ? -1 : add_text(to, value, what, err);
    default:
        return set_number(to, row->kind, value, what, err);
    }
}

/* ---- the command line ---- */

static const struct row *
row_by_name(const char *name, size_t n)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
            return &rows[i];
    return NULL;
}

static const struct row *
row_by_letter(char letter)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].letter != '\0' && rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

/* The row of one argument, and its value when it has it inside (else NULL). NULL: unknown. */
static const struct row *
read_argument(char *arg, char **value, struct err *err)
{
    const struct row *row;
    *value = NULL;
    if (strncmp(arg, "--", 2) == 0 && arg[2] != '\0') {
        size_t n = strcspn(arg + 2, "=");
        if (arg[2 + n] == '=')
            *value = arg + 3 + n;
        row = row_by_name(arg + 2, n);
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
    row = row_by_letter(arg[1]);
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
            if (add_text(&p->o->words, argv[i], p->o->command, err) < 0)
                return -1;
            continue;
        }
        const struct row *row = read_argument(argv[i], &value, err);
        if (row == NULL)
            return -1;
        char what[32];
        snprintf(what, sizeof what, "--%s", row->name);
        if (row->kind == KIND_FLAG) {
            if (value != NULL)
                return err_set(err, ERR_BAD_REQUEST, "%s takes no value", what);
            set_value(p->o, row, "", what, err);
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
        int r = set_value(p->o, row, value, what, err);
        if (row->kind == KIND_USERS)
            memset(value, '*', strlen(value));
        if (r < 0)
            return -1;
        p->given[row - rows] = true;
    }
    return 0;
}

/* ---- the file ---- */

static int
take_line(const char *name, const char *value, int line, void *arg, struct err *err)
{
    struct parser *p = arg;
    char what[128];
    const struct row *row = row_by_name(name, strlen(name));
    if (row == NULL || row->command_line_only)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s, line %d: unknown name %s: it takes the names of --help without dashes",
                       p->o->config, line, name);
    snprintf(what, sizeof what, "%s, line %d: %s", p->o->config, line, name);
    if (row->kind == KIND_FLAG && value != NULL)
        return err_set(err, ERR_BAD_REQUEST, "%s takes no value: leave out what follows the name",
                       what);
    if (row->kind == KIND_FLAG)
        return set_value(p->o, row, "", what, err);
    if (value == NULL)
        return err_set(err, ERR_BAD_REQUEST, "%s needs a value: %s = [%s]", what, name, row->arg);
    if (p->given[row - rows] && !row->repeatable)
        return 0;
    return set_value(p->o, row, value, what, err);
}

static int
parse_file(struct parser *p, struct err *err)
{
    struct buf text;
    buf_init(&text, CONFIG_MAX);
    int r = userfile_read(AT_FDCWD, p->o->config, &text, err);
    if (r == 0)
        r = kvfile_each(buf_bytes(&text), take_line, p, err);
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
    char **const texts[] = {&o->dir,      &o->fastcgi, &o->sockets,  &o->name,
                            &o->base_url, &o->run_as,  &o->tls_cert, &o->tls_key,
                            &o->config,   &o->retry,   &o->drop,     &o->hooks};
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
    return cores > WORKERS_MAX ? WORKERS_MAX : (uint64_t)cores;
}

/* --port, else $PORT, else 8000. With --tls-port alone nothing is plain that wasn't asked for. */
static int
fill_in_port(struct options *o, struct err *err)
{
    if (o->ports.n > 0 || o->fastcgi != NULL)
        return 0;
    const char *port = getenv("PORT");
    if (port != NULL && *port != '\0')
        return add_port(&o->ports, port, "PORT in the environment:", err);
    if (o->tls_ports.n > 0)
        return 0;
    return add_port(&o->ports, DEFAULT_PORT, "port", err);
}

/* The sockets' full names: nginx needs those, and they may not be longer than the kernel allows. */
static int
fill_in_sockets(struct options *o, struct err *err)
{
    const size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    char *full = fullname(o->fastcgi, err);
    if (full == NULL)
        return -1;
    size_t n = strlen(full);
    if (n + 1 + strlen(SERVER_HERALD_NAME) > room) { /* the longest of them */
        free(full);
        return err_set(err, ERR_BAD_REQUEST,
                       "--fastcgi %.100s: the name of a socket there would have more than %zu "
                       "bytes (with %s): choose a directory with a shorter name",
                       o->fastcgi, room, SERVER_HERALD_NAME);
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
    char *full = o->hooks != NULL ? fullname(o->hooks, err) : NULL;
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
    bool prints = strcmp(o->command, PRINT_NGINX_CONF) == 0;
    if ((o->json || o->retry != NULL || o->drop != NULL) && strcmp(o->command, "hooks") != 0)
        return err_set(err, ERR_BAD_REQUEST, "--%s is for the command hooks only",
                       o->json            ? "json"
                       : o->retry != NULL ? "retry"
                                          : "drop");
    if ((o->http_part || o->server_part) && !prints)
        return err_set(err, ERR_BAD_REQUEST, "--%s is for " PRINT_NGINX_CONF " only",
                       o->http_part ? "http" : "server");
    if (prints && o->fastcgi == NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       PRINT_NGINX_CONF
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
        .log_level = LOG_INFO,
    };
    if (parse_command_line(&p, argc, argv, err) < 0)
        return -1;
    if (o->help || o->version)
        return 0;
    if (o->config != NULL && parse_file(&p, err) < 0)
        return -1;
    if (o->dir == NULL && set_text(&o->dir, ".", err) < 0)
        return -1;
    if (o->name == NULL && set_text(&o->name, "main", err) < 0)
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
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        char left[64];
        int n;
        if (row->kind == KIND_SCRIPT) {
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
    fputs("\nCommands, each with --dir, --config and --run-as where it needs them:\n\n"
          "  user add [name]          give a user a password: asked for, or from stdin\n"
          "  user del [name]          refuse a user from now on\n"
          "  user list                print the users' names\n"
          "  hooks                    list those that wait, run or failed\n"
          "  hooks test [name] [tag]  run a hook by hand, as if NAME:TAG had just been pushed\n"
          "  print-nginx-conf         print what your own nginx includes (with --fastcgi)\n\n"
          "Hooks: image layer verify index tag untag manifest delete, and pre-tag and pre-delete,\n"
          "which may refuse. See docker-registry-server-hooks(5).\n\n",
          to);
}
