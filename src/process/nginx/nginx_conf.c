#include "process/nginx/nginx_conf.h"
#include <stdbool.h>
#include "process/nginx/conf_data.h"
#include "protocol/http/error_table.h"
#include "util/bytes.h"

#define DEPTH_MAX 8
#define NUMBER_MAX 24

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ORIGIN_BYTES LOWER DIGITS "+.:/[]_-"
#define PATH_BYTES LOWER UPPER DIGITS "/._+,:=-"

/* Starts the line that begins a block. */
#define BLOCK_MARK "# ---- @"

enum value {
    VALUE_NAME,
    VALUE_DIR,
    VALUE_BLOBS,
    VALUE_S3_SCHEME,
    VALUE_S3_HOST,
    VALUE_S3_PATH,
    VALUE_NAME_SERVERS,
    VALUE_CACHE_SIZE,
    VALUE_SOCKETS,
    VALUE_HTPASSWD,
    VALUE_UI_FILES,
    VALUE_VERSION,
    VALUE_AT,
    VALUE_MAX_BLOB,
    VALUE_MAX_CONNECTIONS,
    VALUE_WORKERS,
    VALUE_NOFILE,
    VALUE_CONNECTIONS,
    VALUE_PROXY_PROTOCOL,
    VALUE_ACCESS_LOG,
    VALUE_ADDRESS, /* from here on: only inside of a block that has it */
    VALUE_ORIGIN,
    VALUE_ORIGIN_PATTERN,
    VALUE_PROXY,
    VALUE_COUNT,
};

/* The bytes that a value may hold: none of them ends a word, opens a block or names a variable in
 * nginx. */
static const struct {
    const char *name;
    const char *bytes;
    bool may_be_empty;
} value_rules[VALUE_COUNT] = {
    [VALUE_NAME] = {"NAME", LOWER DIGITS "_", false},
    [VALUE_DIR] = {"DIR", PATH_BYTES, true},
    [VALUE_BLOBS] = {"BLOBS", PATH_BYTES, false},
    [VALUE_S3_SCHEME] = {"S3_SCHEME", LOWER, false},
    [VALUE_S3_HOST] = {"S3_HOST", PATH_BYTES "[]", true},
    [VALUE_S3_PATH] = {"S3_PATH", PATH_BYTES, true},
    [VALUE_NAME_SERVERS] = {"NAME_SERVERS", LOWER DIGITS ".:[]= ", true},
    [VALUE_CACHE_SIZE] = {"CACHE_SIZE", DIGITS, false},
    [VALUE_SOCKETS] = {"SOCKETS", PATH_BYTES, false},
    [VALUE_HTPASSWD] = {"HTPASSWD", PATH_BYTES, false},
    [VALUE_UI_FILES] = {"UI_FILES", PATH_BYTES, true},
    [VALUE_AT] = {"AT", "@", false},
    [VALUE_VERSION] = {"VERSION", LOWER UPPER DIGITS ".+~-", false},
    [VALUE_MAX_BLOB] = {"MAX_BLOB", DIGITS, false},
    [VALUE_MAX_CONNECTIONS] = {"MAX_CONNECTIONS", DIGITS, false},
    [VALUE_WORKERS] = {"WORKERS", DIGITS, false},
    [VALUE_NOFILE] = {"NOFILE", DIGITS, false},
    [VALUE_CONNECTIONS] = {"CONNECTIONS", DIGITS, false},
    [VALUE_ACCESS_LOG] = {"ACCESS_LOG", PATH_BYTES, false},
    [VALUE_ADDRESS] = {"ADDRESS", "abcdefABCDEF" DIGITS ".:[]", false},
    [VALUE_PROXY_PROTOCOL] = {"PROXY_PROTOCOL", LOWER " _", true},
    [VALUE_PROXY] = {"PROXY", "abcdefABCDEF" DIGITS ".:/", false},
    [VALUE_ORIGIN] = {"ORIGIN", ORIGIN_BYTES, false},
    [VALUE_ORIGIN_PATTERN] = {"ORIGIN_PATTERN", ORIGIN_BYTES "\\", false},
};

/* Proxies of this machine may tell the scheme, unless others are named. */
static const char *const believed_unasked[2] = {"127.0.0.0/8", "::1"};

struct expansion {
    const struct nginx_conf *c;
    /* ADDRESS: NULL outside of LISTEN_ blocks; ORIGIN and its pattern: outside of CORS_ORIGIN */
    const char *values[VALUE_COUNT];
    char cache_size[NUMBER_MAX];
    char max_blob[NUMBER_MAX];
    char max_connections[NUMBER_MAX];
    char workers[NUMBER_MAX];
    char nofile[NUMBER_MAX];
    char connections[NUMBER_MAX];

    struct buf *out;
    /* Line ends and blanks to be put before the next byte, if one follows. */
    unsigned newlines;
    size_t indent;
    int depth;
};

static int expand_text(struct expansion *x, struct bytes text, size_t indent, struct err *err);

/* ---- output ---- */

static void
put_expanded(struct expansion *x, struct bytes b)
{
    if (b.n == 0)
        return;
    if (x->newlines > 0 && x->out->n > 0)
        buf_puts(x->out, x->newlines > 1 ? "\n\n" : "\n");
    if (x->newlines > 0)
        buf_putf(x->out, "%*s", (int)x->indent, "");
    x->newlines = 0;
    buf_put(x->out, b.p, b.n);
}

static void
start_line(struct expansion *x, size_t indent)
{
    if (x->newlines == 0)
        x->newlines = 1;
    x->indent = indent;
}

/* ---- input ---- */

static struct bytes
skip_bytes(struct bytes b, size_t n)
{
    return bytes_of((const char *)b.p + n, b.n - n);
}

/* Takes the first line off the text, without its line end. */
static struct bytes
next_template_line(struct bytes *text)
{
    const char *end = memchr(text->p, '\n', text->n);
    size_t n = end == NULL ? text->n : (size_t)(end - (const char *)text->p);
    struct bytes line = bytes_of(text->p, n);
    *text = skip_bytes(*text, end == NULL ? n : n + 1);
    return line;
}

static size_t
count_blanks(struct bytes line)
{
    const char *p = line.p;
    size_t n = 0;
    while (n < line.n && p[n] == ' ')
        n++;
    return n;
}

/* At an @: the name up to the next one. False when there is none. */
static bool
parse_block_name(struct bytes at, struct bytes *name)
{
    const char *p = at.p;
    size_t n = 1;
    while (n < at.n && p[n] != '\0' && strchr(UPPER DIGITS "_", p[n]) != NULL)
        n++;
    if (n == 1 || n == at.n || p[n] != '@')
        return false;
    *name = bytes_of(p + 1, n - 1);
    return true;
}

static bool
find_block(struct bytes name, struct bytes *block)
{
    struct bytes rest = bytes_str(conf_data_blocks);
    struct bytes mark = bytes_str(BLOCK_MARK);
    bool found = false;

    while (rest.n > 0) {
        struct bytes at = rest;
        struct bytes line = next_template_line(&rest);
        struct bytes here;
        if (!bytes_start_with(line, mark))
            continue;
        if (found) {
            block->n -= at.n;
            return true;
        }
        if (parse_block_name(skip_bytes(line, mark.n - 1), &here) && bytes_equal(here, name)) {
            *block = rest;
            found = true;
        }
    }
    return found;
}

/* ---- names ---- */

static int
expand_block(struct expansion *x, const char *name, size_t indent, struct err *err)
{
    struct bytes block;
    int rc;

    if (!find_block(bytes_str(name), &block))
        return err_set(err, ERR_CORRUPT, "nginx templates: no block @%s@", name);
    if (x->depth == DEPTH_MAX)
        return err_set(err, ERR_CORRUPT, "nginx templates: @%s@ is nested too deeply", name);
    while (block.n > 0 && ((const char *)block.p)[block.n - 1] == '\n')
        block.n--;
    x->depth++;
    rc = expand_text(x, block, indent, err);
    x->depth--;
    return rc;
}

static int
check_value(enum value v, const char *text, struct err *err)
{
    const char *name = value_rules[v].name;
    size_t good;

    if (text == NULL || (*text == '\0' && !value_rules[v].may_be_empty))
        return err_set(err, ERR_BAD_REQUEST, "nginx configuration: no value for %s", name);
    good = strspn(text, value_rules[v].bytes);
    if (text[good] != '\0')
        return err_set(err, ERR_BAD_REQUEST, "nginx configuration: %s must not hold \"%c\": %s",
                       name, text[good], text);
    return 0;
}

/* One block for each address. */
static int
expand_addresses(struct expansion *x, const char *block, const char *const *addresses, size_t n,
                 size_t indent, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (check_value(VALUE_ADDRESS, addresses[i], err) != 0)
            return -1;
        x->values[VALUE_ADDRESS] = addresses[i];
        if (expand_block(x, block, indent, err) != 0)
            return -1;
        x->values[VALUE_ADDRESS] = NULL;
    }
    return 0;
}

/* One block for each network of proxies. */
static int
expand_proxies(struct expansion *x, const char *block, const char *const *proxies, size_t n,
               size_t indent, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(proxies[i], "none") == 0)
            continue;
        if (check_value(VALUE_PROXY, proxies[i], err) != 0)
            return -1;
        x->values[VALUE_PROXY] = proxies[i];
        if (expand_block(x, block, indent, err) != 0)
            return -1;
        x->values[VALUE_PROXY] = NULL;
    }
    return 0;
}

/* An origin as a regular expression. nginx's maps can look up plain texts too, but the site decides
 * how long those may be. */
static void
origin_pattern(struct buf *out, const char *origin)
{
    buf_init(out, 1024);
    for (const char *p = origin; *p != '\0'; p++) {
        if (strchr("+.[]", *p) != NULL)
            buf_putc(out, '\\');
        buf_putc(out, *p);
    }
}

static int
expand_origin(struct expansion *x, const char *origin, size_t indent, struct err *err)
{
    struct buf pattern;
    int rc;

    origin_pattern(&pattern, origin);
    x->values[VALUE_ORIGIN] = origin;
    x->values[VALUE_ORIGIN_PATTERN] = buf_ok(&pattern) ? buf_text(&pattern) : NULL;
    rc = check_value(VALUE_ORIGIN, origin, err);
    if (rc == 0)
        rc = check_value(VALUE_ORIGIN_PATTERN, x->values[VALUE_ORIGIN_PATTERN], err);
    if (rc == 0)
        rc = expand_block(x, "CORS_ORIGIN", indent, err);
    x->values[VALUE_ORIGIN] = x->values[VALUE_ORIGIN_PATTERN] = NULL;
    buf_free(&pattern);
    return rc;
}

/* A block for each origin that isn't "*". */
static int
expand_origins(struct expansion *x, size_t indent, struct err *err)
{
    const struct nginx_conf *c = x->c;

    for (size_t i = 0; i < c->cors_n; i++)
        if (strcmp(c->cors[i], "*") != 0 && expand_origin(x, c->cors[i], indent, err) != 0)
            return -1;
    return 0;
}

/* Blocks that are left out for a site with users of its own, or replaced. */
static const struct {
    const char *name;
    const char *instead; /* NULL: nothing */
} for_trusted[] = {
    {"REALM", NULL},
    {"USERS", NULL},
    {"PASSWORD", NULL},
    {"NO_PASSWORD", NULL},
    {"PASSWORD_LATER", NULL},
    {"CHALLENGE", NULL},
    {"REMOTE_USER", "TRUSTED_USER"},
    {"OPEN_TO_ALL", NULL},
};

static size_t
count_any_origin(const struct nginx_conf *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->cors_n; i++)
        n += strcmp(c->cors[i], "*") == 0;
    return n;
}

static const char *
chosen_block(const struct nginx_conf *c, const char *name)
{
    bool left_out;

    for (size_t i = 0; c->trust_remote_user && i < sizeof for_trusted / sizeof *for_trusted; i++)
        if (strcmp(name, for_trusted[i].name) == 0)
            return for_trusted[i].instead;
    if (strcmp(name, "LOG_FORMAT") == 0 && c->log_json)
        return "LOG_FORMAT_JSON";
    if (strcmp(name, "BLOB") == 0 && c->s3 != NULL)
        return "BLOB_S3";
    if (strcmp(name, "S3_PASS") == 0 && c->name_servers != NULL)
        return "S3_PASS_BY_NAME";
    if (strcmp(name, "CONNECTION_LIMIT") == 0 && c->max_connections_per_address == 0)
        return "NO_CONNECTION_LIMIT";
    if (strcmp(name, "SCHEME") == 0 && c->proxy_protocol)
        return "OWN_SCHEME";
    if (strcmp(name, "REAL_ADDRESS") == 0 && c->proxy_protocol)
        return "PROXY_ADDRESS";
    left_out = (strcmp(name, "S3_CACHE") == 0 && c->s3 == NULL) ||
               (strcmp(name, "S3_TLS") == 0 && (c->s3 == NULL || !c->s3->tls)) ||
               (strcmp(name, "REAL_ADDRESS") == 0 && c->proxies_n == 0) ||
               (strcmp(name, "TLS") == 0 && c->tls_n == 0) ||
               (strcmp(name, "WRITE_ACCESS_LOG") == 0 && c->access_log == NULL) ||
               (strncmp(name, "UI_", 3) == 0 && c->ui == NULL) ||
               (strncmp(name, "NODE_", 5) == 0 && !c->has_nodes) ||
               (strcmp(name, "CORS_ANY") == 0 && count_any_origin(c) == 0) ||
               (strcmp(name, "CORS_VARIES") == 0 && count_any_origin(c) == c->cors_n);
    return left_out ? NULL : name;
}

/* The lines of a map of nginx's own errors, out of the table of errors. */
static void
put_error_map(struct buf *out, const char *map)
{
    for (size_t i = 0; i < error_table_nginx_n; i++) {
        const struct error_table_nginx *e = &error_table_nginx[i];

        if (strcmp(map, "ERROR_TEXTS") == 0)
            buf_putf(out, "%s \"%s\";\n", e->key, e->text);
        else if (strcmp(map, "ERROR_HINTS") == 0 && e->hint != NULL)
            buf_putf(out, "%s \"%s\";\n", e->key, e->hint);
        else if (strcmp(map, "ERROR_RETRIES") == 0 && e->retry_after != NULL)
            buf_putf(out, "%s %s;\n", e->key, e->retry_after);
        else if (strcmp(map, "ERROR_CODES") == 0)
            buf_putf(out, "%s %s;\n", e->key, error_table_row(e->like)->code);
    }
}

/* For each status that a worker may refuse an upload with: a `return`. 401 comes after them. */
static void
put_refusals(struct buf *out)
{
    for (int status = 400; status < 600; status++)
        for (int code = 0; code < ERR_COUNT; code++)
            if (status != 401 && error_table_row((enum err_code)code)->status == status) {
                buf_putf(out,
                         "if ($registry_refused_status_@NAME@ = %d) "
                         "{ return %d $registry_refusal_@NAME@; }\n",
                         status, status);
                break;
            }
}

static int
expand_errors(struct expansion *x, const char *name, size_t indent, struct err *err)
{
    struct buf text;
    int rc;

    buf_init(&text, NGINX_CONF_MAX);
    if (strcmp(name, "REFUSALS") == 0)
        put_refusals(&text);
    else
        put_error_map(&text, name);
    buf_cut(&text, text.n - 1); /* the last line end */
    rc = expand_text(x, buf_bytes(&text), indent, err);
    buf_free(&text);
    return rc;
}

static int
expand_name(struct expansion *x, struct bytes name, size_t indent, struct err *err)
{
    const struct nginx_conf *c = x->c;
    char text[64];
    const char *block;

    for (size_t v = 0; v < VALUE_COUNT; v++) {
        if (x->values[v] != NULL && bytes_equal(name, bytes_str(value_rules[v].name))) {
            put_expanded(x, bytes_str(x->values[v]));
            return 0;
        }
    }
    if (bytes_equal(name, bytes_str("LISTEN"))) {
        if (expand_addresses(x, "LISTEN_PLAIN", c->plain, c->plain_n, indent, err) != 0)
            return -1;
        return expand_addresses(x, "LISTEN_TLS", c->tls, c->tls_n, indent, err);
    }
    if (bytes_equal(name, bytes_str("PROXIES_BELIEVED")))
        return expand_proxies(x, "PROXY_BELIEVED", c->proxies_n > 0 ? c->proxies : believed_unasked,
                              c->proxies_n > 0 ? c->proxies_n : 2, indent, err);
    if (bytes_equal(name, bytes_str("PROXIES_REAL")))
        return expand_proxies(x, "PROXY_REAL", c->proxies, c->proxies_n, indent, err);
    if (bytes_equal(name, bytes_str("CORS_ORIGINS")))
        return expand_origins(x, indent, err);
    snprintf(text, sizeof(text), "%.*s", (int)name.n, (const char *)name.p);
    if (strncmp(text, "ERROR_", 6) == 0 || strcmp(text, "REFUSALS") == 0)
        return expand_errors(x, text, indent, err);
    block = chosen_block(c, text);
    return block != NULL ? expand_block(x, block, indent, err) : 0;
}

/* ---- text ---- */

static int
expand_line(struct expansion *x, struct bytes line, size_t indent, struct err *err)
{
    struct bytes name;
    const char *at;

    while (line.n > 0 && (at = memchr(line.p, '@', line.n)) != NULL) {
        size_t before = (size_t)(at - (const char *)line.p);
        put_expanded(x, bytes_of(line.p, before));
        line = skip_bytes(line, before);
        if (!parse_block_name(line, &name))
            return err_set(err, ERR_CORRUPT, "nginx templates: an @ without a name: %.*s",
                           (int)line.n, (const char *)line.p);
        if (expand_name(x, name, indent, err) != 0)
            return -1;
        line = skip_bytes(line, name.n + 2);
    }
    put_expanded(x, line);
    return 0;
}

static int
expand_text(struct expansion *x, struct bytes text, size_t indent, struct err *err)
{
    bool begun = false;

    while (text.n > 0) {
        struct bytes line = next_template_line(&text);
        size_t blanks = count_blanks(line);
        line = skip_bytes(line, blanks);
        if (line.n == 0) {
            /* One empty line at most, and none at the edges of a block. */
            if (begun && text.n > 0)
                x->newlines = 2;
            continue;
        }
        if (*(const char *)line.p == '#')
            continue;
        start_line(x, indent + blanks);
        if (expand_line(x, line, indent + blanks, err) != 0)
            return -1;
        begun = true;
    }
    return 0;
}

int
nginx_conf_expand(const char *text, const struct nginx_conf *c, struct buf *out, struct err *err)
{
    struct expansion x = {.c = c, .out = out};

    /* nginx doesn't take a larger one. */
    snprintf(x.max_blob, sizeof(x.max_blob), "%llu",
             (unsigned long long)(c->max_blob_size < INT64_MAX ? c->max_blob_size : INT64_MAX));
    snprintf(x.max_connections, sizeof(x.max_connections), "%llu",
             (unsigned long long)c->max_connections_per_address);
    snprintf(x.workers, sizeof(x.workers), "%llu", (unsigned long long)c->workers);
    snprintf(x.cache_size, sizeof(x.cache_size), "%llu", (unsigned long long)c->cache_size);
    snprintf(x.nofile, sizeof(x.nofile), "%llu", (unsigned long long)c->nofile);
    snprintf(x.connections, sizeof(x.connections), "%llu", (unsigned long long)c->connections);
    x.values[VALUE_NAME] = c->name;
    x.values[VALUE_DIR] = c->dir;
    x.values[VALUE_BLOBS] = c->blobs;
    x.values[VALUE_S3_SCHEME] = c->s3 != NULL && c->s3->tls ? "https" : "http";
    x.values[VALUE_S3_HOST] = c->s3 != NULL ? c->s3->host : "";
    x.values[VALUE_S3_PATH] = c->s3 != NULL ? c->s3->path : "";
    x.values[VALUE_NAME_SERVERS] = c->name_servers != NULL ? c->name_servers : "";
    x.values[VALUE_CACHE_SIZE] = x.cache_size;
    x.values[VALUE_SOCKETS] = c->sockets;
    x.values[VALUE_HTPASSWD] = c->htpasswd;
    x.values[VALUE_UI_FILES] = c->ui != NULL ? c->ui : "";
    x.values[VALUE_AT] = "@";
    x.values[VALUE_VERSION] = c->version;
    x.values[VALUE_MAX_BLOB] = x.max_blob;
    x.values[VALUE_MAX_CONNECTIONS] = x.max_connections;
    x.values[VALUE_ACCESS_LOG] = c->access_log != NULL ? c->access_log : "off";
    x.values[VALUE_WORKERS] = x.workers;
    x.values[VALUE_NOFILE] = x.nofile;
    x.values[VALUE_CONNECTIONS] = x.connections;
    x.values[VALUE_PROXY_PROTOCOL] = c->proxy_protocol ? " proxy_protocol" : "";
    for (enum value v = 0; v < VALUE_COUNT; v++) {
        if (v < VALUE_ADDRESS && check_value(v, x.values[v], err) != 0)
            return -1;
    }

    if (expand_text(&x, bytes_str(text), 0, err) != 0)
        return -1;
    buf_putc(out, '\n');
    if (!buf_ok(out))
        return err_set(err, ERR_SYSTEM, "nginx configuration: longer than %zu bytes", out->max);
    return 0;
}

int
nginx_conf_standalone(const struct nginx_conf *c, struct buf *out, struct err *err)
{
    if (c->plain_n + c->tls_n == 0)
        return err_set(err, ERR_BAD_REQUEST, "nginx configuration: no address to listen on");
    buf_puts(out, "# Written by docker-registry-server at each start. Changes here are lost.");
    return nginx_conf_expand(conf_data_standalone, c, out, err);
}
