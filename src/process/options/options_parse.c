#include "process/options/options_parse.h"
#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>
#include "process/options/absolute_path.h"
#include "process/options/option_file.h"
#include "process/options/options_table.h"
#include "process/options/options_value.h"
#include "util/kvfile.h"
#include "util/mem.h"
#include "util/parse.h"

#define CONFIG_MAX (1u << 20)

struct parser {
    struct options *o;
    bool given[OPTIONS_TABLE_MAX]; /* on the command line */
};

/* ---- the command line ---- */

const char *
options_parse_command(int argc, char **argv)
{
    return argc > 1 && *argv[1] != '-' ? argv[1] : "serve";
}

/* The row of one argument, and its value if the argument contains it (else NULL). NULL: unknown. */
static const struct options_row *
find_argument_row(const struct options *o, char *arg, char **value, struct err *err)
{
    const struct options_row *row;
    *value = NULL;
    if (strncmp(arg, "--", 2) == 0 && arg[2] != '\0') {
        size_t n = strcspn(arg + 2, "=");
        if (arg[2 + n] == '=')
            *value = arg + 3 + n;
        row = options_table_by_name(arg + 2, n, o->command);
        if (row == NULL)
            err_set(err, ERR_BAD_REQUEST,
                    "unknown option --%.*s: see docker-registry-server %s --help", (int)n, arg + 2,
                    o->command);
        return row;
    }
    if (arg[0] != '-' || arg[1] == '\0' || arg[1] == '-') {
        bool command = options_table_knows(options_table_by_name("help", 4, "serve"), arg);

        err_set(err, ERR_BAD_REQUEST,
                command ? "the command comes first: docker-registry-server %s, then its options"
                        : "unexpected argument %s: see docker-registry-server %s --help",
                arg, o->command);
        return NULL;
    }
    if (arg[2] != '\0')
        *value = arg + 2;
    row = options_table_by_letter(arg[1], o->command);
    if (row == NULL)
        err_set(err, ERR_BAD_REQUEST, "unknown option -%c: see docker-registry-server %s --help",
                arg[1], o->command);
    return row;
}

/* The name stays: SIGHUP parses the command line again. */
static void
hide_password(char *value)
{
    char *colon = strchr(value, ':');
    char *password = colon != NULL ? colon + 1 : value;

    memset(password, '*', strlen(password));
}

/* Takes the option argv[*i], and what belongs to it. */
static int
take_option(struct parser *p, int argc, char **argv, int *i, struct err *err)
{
    char *value, what[32];
    const struct options_row *row = find_argument_row(p->o, argv[*i], &value, err);
    int rc;
    if (row == NULL)
        return -1;
    snprintf(what, sizeof what, "--%s", row->name);
    if (!options_table_knows(row, p->o->command))
        return err_set(err, ERR_BAD_REQUEST, "the command %s has no option %s; these have it: %s",
                       p->o->command, what, row->commands);
    if (row->kind == OPTIONS_FLAG && value != NULL)
        return err_set(err, ERR_BAD_REQUEST, "%s takes no value", what);
    if (row->kind == OPTIONS_FLAG)
        return options_value_set(p->o, row, "", what, err);
    if (value == NULL && *i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0)
        value = argv[++*i];
    if (value == NULL)
        return err_set(err, ERR_BAD_REQUEST, "%s needs a value: %s [%s]", what, what, row->arg);
    rc = options_value_set(p->o, row, value, what, err);
    if (row->kind == OPTIONS_USER)
        hide_password(value);
    p->given[row - options_table] = true;
    return rc;
}

static int
parse_command_line(struct parser *p, int argc, char **argv, struct err *err)
{
    struct options *o = p->o;
    bool takes_words;
    int rc = 0;
    o->command = options_parse_command(argc, argv);
    takes_words = strcmp(o->command, "serve") != 0;
    for (int i = argc > 1 && o->command == argv[1] ? 2 : 1;
         rc == 0 && i < argc && !o->help && !o->version; i++)
        if (takes_words && *argv[i] != '-')
            rc = options_value_add(o, &o->words, argv[i], o->command, err);
        else
            rc = take_option(p, argc, argv, &i, err);
    return rc;
}

/* ---- the file ---- */

/* The likely mistake in a line whose name is unknown. */
static const char *
explain_name(const char *name, const char *value)
{
    if (name[0] == '#')
        return "a comment begins in the first column";
    if (name[0] == '"' || name[0] == '\'')
        return "there are no quotes";
    if (name[0] == '-')
        return "leave out the dashes in front of the name";
    if (name[0] == '[')
        return "there are no sections";
    if (name[0] == ';' || name[0] == '/')
        return "a comment begins with #, in the first column";
    if (value == NULL && strpbrk(name, " \t:\"'") != NULL)
        return "put an = between the name and its value";
    return "use the long names of --help, without dashes";
}

/* A script may need its quotes. */
static bool
is_quoted(const struct options_row *row, const char *value)
{
    return row->kind != OPTIONS_SCRIPT && (*value == '"' || *value == '\'');
}

static int
apply_config_value(struct parser *p, const struct options_row *row, const char *value,
                   const char *what, struct err *err)
{
    struct err inner;

    if (is_quoted(row, value))
        return err_set(err, ERR_BAD_REQUEST, "%s: there are no quotes here: leave them out", what);
    if (options_value_set(p->o, row, value, what, err) == 0)
        return 0;
    inner = *err;
    return strstr(value, " #") == NULL
               ? -1
               : err_set(err, inner.code, "%s (what follows a # in a value belongs to it)",
                         inner.message);
}

static int
apply_config_line(const char *name, const char *value, int line, void *arg, struct err *err)
{
    struct parser *p = arg;
    char what[128];
    const struct options_row *row = options_table_by_name(name, strlen(name), "serve");
    if (row == NULL || !options_table_in_file(row))
        return err_set(err, ERR_BAD_REQUEST, "%s, line %d: unknown option %.*s: %s", p->o->config,
                       line, (int)strcspn(name, " \t:"), name, explain_name(name, value));
    snprintf(what, sizeof what, "%s, line %d: %s", p->o->config, line, name);
    if (row->kind == OPTIONS_FLAG && value != NULL)
        return err_set(err, ERR_BAD_REQUEST, "%s takes no value: leave out what follows the name",
                       what);
    if (row->kind != OPTIONS_FLAG && value == NULL)
        return err_set(err, ERR_BAD_REQUEST, "%s needs a value: %s = [%s]", what, name, row->arg);
    if (p->given[row - options_table] && row->kind < OPTIONS_PORT)
        return 0;
    return apply_config_value(p, row, value != NULL ? value : "", what, err);
}

static int
parse_file(struct parser *p, struct err *err)
{
    struct buf text;
    struct err inner;
    int rc;
    buf_init(&text, CONFIG_MAX);
    rc = option_file_read(AT_FDCWD, p->o->config, &text, err);
    if (rc == 0)
        rc = kvfile_each(buf_bytes(&text), apply_config_line, p, err);
    if (text.p != NULL)
        explicit_bzero(text.p, text.n);
    buf_free(&text);
    if (rc == 0 || strstr(err->message, p->o->config) != NULL)
        return rc;
    inner = *err; /* of a line that is none */
    return err_set(err, inner.code, "%s, %s", p->o->config, inner.message);
}

/* ---- what was not given ---- */

/* "the number of processors, at least 4". */
static uint64_t
count_processors(const char *text)
{
    static const char at_least[] = ", at least ";
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t n = processors > 0 ? (uint64_t)processors : 1, least = 1;
    text += strlen(OPTIONS_TABLE_PROCESSORS);
    if (strncmp(text, at_least, strlen(at_least)) == 0)
        parse_u64(text + strlen(at_least), strlen(text + strlen(at_least)), &least);
    if (n < least)
        return least;
    return n < OPTIONS_COUNT_MAX ? n : OPTIONS_COUNT_MAX;
}

/* Before the parsing: the defaults of all options that are no lists. */
static int
fill_in_defaults(struct options *o, struct err *err)
{
    for (size_t i = 0; i < options_table_n; i++) {
        const struct options_row *row = &options_table[i];
        if (row->def == NULL || row->kind >= OPTIONS_PORT)
            continue;
        if (strncmp(row->def, OPTIONS_TABLE_PROCESSORS, strlen(OPTIONS_TABLE_PROCESSORS)) == 0)
            *(uint64_t *)((char *)o + row->at) = count_processors(row->def);
        else if (options_value_set(o, row, row->def, row->name, err) != 0)
            return -1;
    }
    return 0;
}

/* --port, else $PORT, else the default; but with --tls-port alone no port is plain. */
static int
fill_in_port(struct options *o, struct err *err)
{
    const struct options_row *row = options_table_by_letter('p', "serve");
    const char *port = getenv("PORT");
    if (o->ports.n > 0 || o->fastcgi != NULL)
        return 0;
    if (port != NULL && *port != '\0')
        return options_value_set(o, row, port, "PORT in the environment:", err);
    return o->tls_ports.n > 0 ? 0 : options_value_set(o, row, row->def, row->name, err);
}

/* nginx needs the full names of the sockets, and the kernel limits their length. */
static int
fill_in_sockets(struct options *o, struct err *err)
{
    const size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    char *full;
    if (o->fastcgi == NULL)
        return 0;
    full = absolute_path(o->fastcgi, err);
    if (full == NULL)
        return -1;
    o->sockets = options_keep(o, mem_printf(strcmp(full, "/") == 0 ? "%s" : "%s/", full));
    free(full);
    if (strlen(o->sockets) + OPTIONS_SOCKET_NAME_MAX > room)
        return err_set(err, ERR_BAD_REQUEST,
                       "--fastcgi %.100s: the names of the sockets there would have more than %zu "
                       "bytes: choose a directory with a shorter name",
                       o->fastcgi, room);
    return 0;
}

/* The working directory changes later. */
static int
fill_in_directory(struct options *o, char **name, struct err *err)
{
    char *full;
    if (*name == NULL || strncmp(*name, "s3://", 5) == 0)
        return 0;
    full = absolute_path(*name, err);
    if (full == NULL)
        return -1;
    *name = options_keep(o, full);
    return 0;
}

static int
fill_in_access_log(struct options *o, struct err *err)
{
    char *full;

    if (strcmp(o->access_log, "off") == 0 || strcmp(o->access_log, "syslog") == 0 ||
        strncmp(o->access_log, "syslog:/", 8) == 0)
        return 0;
    full = absolute_path(o->access_log, err);
    if (full == NULL)
        return -1;
    o->access_log = options_keep(o, full);
    return 0;
}

/* ---- options that exclude or need each other ---- */

static int
check_fastcgi(const struct options *o, struct err *err)
{
    const struct {
        const char *name;
        bool given;
    } excluded[] = {
        {"port", o->ports.n > 0},         {"listen", o->listen.n > 0},
        {"tls-port", o->tls_ports.n > 0}, {"tls-cert", o->tls_cert != NULL},
        {"tls-key", o->tls_key != NULL},
    };
    for (size_t i = 0; o->fastcgi != NULL && i < sizeof excluded / sizeof *excluded; i++)
        if (excluded[i].given)
            return err_set(err, ERR_BAD_REQUEST,
                           "--%s and --fastcgi can't be combined: with --fastcgi your own nginx "
                           "has the ports and certificates",
                           excluded[i].name);
    if (o->trust_remote_user && o->fastcgi == NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       "--trust-remote-user is for your own nginx in front: it needs --fastcgi");
    if (o->trust_remote_user && o->users.n > 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "--user and --trust-remote-user can't be combined: with the latter your own "
                       "nginx knows the users");
    return 0;
}

static int
check_proxies(const struct options *o, struct err *err)
{
    if (o->proxy_protocol && o->fastcgi != NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       "--proxy-protocol and --fastcgi can't be combined: with --fastcgi your own "
                       "nginx has the ports");
    if (o->proxy_protocol && o->trusted_proxies.n == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "--proxy-protocol needs the address of the load balancer: give "
                       "--trusted-proxy NETWORK");
    return 0;
}

static int
check_tls(const struct options *o, struct err *err)
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

/* ---- what a restart alone changes ---- */

static void
clear_kept(struct options *o)
{
    for (size_t i = 0; i < options_table_n; i++) {
        void *at = (char *)o + options_table[i].at;

        if (options_table[i].restart && options_table[i].kind < OPTIONS_PORT)
            *(char **)at = NULL;
        else if (options_table[i].restart)
            *(struct options_list *)at = (struct options_list){.n = 0};
    }
}

static int
set_kept(struct options *o, struct bytes kept, struct err *err)
{
    const char *text = kept.p, *end;

    if (kept.n == 0)
        return 0;
    clear_kept(o);
    for (end = text + kept.n; text < end; text += strlen(text) + 1) {
        size_t n = strcspn(text, "=");
        const struct options_row *row = options_table_by_name(text, n, "serve");

        if (row != NULL && row->restart && text[n] == '=' &&
            options_value_set(o, row, text + n + 1, row->name, err) != 0)
            return -1;
    }
    return 0;
}

/* The password of a database must not be where ps shows it. */
static bool
has_password(const char *url)
{
    const char *host = strstr(url, "//"), *at = host != NULL ? strchr(host, '@') : NULL;

    if (at != NULL) {
        const char *colon = memchr(host, ':', (size_t)(at - host));
        const char *slash = memchr(host + 2, '/', (size_t)(at - host - 2));

        if (colon != NULL && slash == NULL)
            return true;
    }
    return strstr(url, "?password=") != NULL || strstr(url, "&password=") != NULL ||
           strstr(url, "sslpassword=") != NULL;
}

static int
check_node_address(const struct options *o, struct err *err)
{
    const char *colon = o->node_address != NULL ? strrchr(o->node_address, ':') : NULL;
    uint64_t port;

    if (o->node_address == NULL)
        return 0;
    if (o->database == NULL)
        return err_set(err, ERR_BAD_REQUEST, "--node-address is for servers with --database");
    if (o->proxy_protocol || o->trust_remote_user)
        return err_set(err, ERR_BAD_REQUEST, "--node-address can't be used with %s",
                       o->proxy_protocol ? "--proxy-protocol" : "--trust-remote-user");
    if (colon == NULL || colon == o->node_address ||
        !parse_u64(colon + 1, strlen(colon + 1), &port) || port == 0 || port > 65535)
        return err_set(err, ERR_BAD_REQUEST, "--node-address %.100s: must be HOST:PORT",
                       o->node_address);
    return 0;
}

static int
check_url(const char *url, const char *option, struct err *err)
{
    if (strncmp(url, "postgresql://", strlen("postgresql://")) != 0)
        return err_set(err, ERR_BAD_REQUEST, "%s: must be a URL, postgresql://...", option);
    if (has_password(url))
        return err_set(err, ERR_BAD_REQUEST,
                       "%s: has a password, which everybody can see: put it into the file that "
                       "PGPASSFILE names, or into PGPASSWORD",
                       option);
    return 0;
}

static int
check_database(struct options *o, struct err *err)
{
    if (check_node_address(o, err) != 0)
        return -1;
    if (strcmp(o->command, "migrate") == 0 && o->to != NULL && strstr(o->to, "://") != NULL &&
        check_url(o->to, "--to", err) != 0)
        return -1;
    if (o->database == NULL)
        return 0;
    if (check_url(o->database, "--database", err) != 0)
        return -1;
    if (o->snapshot || strcmp(o->command, "snapshot") == 0)
        return err_set(err, ERR_BAD_REQUEST, "%s", OPTIONS_NO_SNAPSHOTS);
    o->snapshot_every_ms = 0;
    if (o->read_only)
        return err_set(err, ERR_BAD_REQUEST, "--read-only can't be used with --database");
    return 0;
}

int
options_parse(struct options *o, int argc, char **argv, struct err *err)
{
    return options_parse_kept(o, argc, argv, bytes_of(NULL, 0), err);
}

int
options_parse_kept(struct options *o, int argc, char **argv, struct bytes kept, struct err *err)
{
    struct parser p = {.o = o};
    const char *default_dir;

    *o = (struct options){.argc = argc, .argv = argv};
    if (fill_in_defaults(o, err) != 0)
        return -1;
    default_dir = o->dir;
    if (parse_command_line(&p, argc, argv, err) != 0)
        return -1;
    if (o->help || o->version)
        return 0;
    if (o->config != NULL && parse_file(&p, err) != 0)
        return -1;
    o->dir_given = o->dir != default_dir;
    if (set_kept(o, kept, err) != 0)
        return -1;
    if (check_fastcgi(o, err) != 0 || fill_in_port(o, err) != 0 ||
        fill_in_directory(o, &o->hooks, err) != 0 || fill_in_directory(o, &o->blobs, err) != 0 ||
        fill_in_access_log(o, err) != 0 || fill_in_sockets(o, err) != 0 ||
        check_database(o, err) != 0)
        return -1;
    return check_proxies(o, err) != 0 ? -1 : check_tls(o, err);
}
