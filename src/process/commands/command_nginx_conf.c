#include "process/commands/command_nginx_conf.h"
#include "process/options/absolute_path.h"
#include "process/nginx/nginx_conf.h"
#include "process/nginx/name_servers.h"
#include "process/server/ui_files.h"
#include "storage/files/blob_store.h"
#include "storage/s3/s3_bucket.h"
#include "util/mem.h"

static const struct part {
    const char *option;
    const char *block;
    const char *where;
} parts[] = {
    {"--http", "@HTTP@",
     "# Goes into http { }: a file in /etc/nginx/conf.d, say. It claims no path and no port.\n"},
    {"--server", "@LOCATIONS@",
     "# Goes into one server { }, by an include in it. It claims /v1, /v2, /_ping and, without\n"
     "# --no-ui, /ui there, and needs the part for http { }. nginx's workers have to run as the\n"
     "# user of the registry.\n"},
};

#define HTTP_PART (&parts[0])
#define SERVER_PART (&parts[1])

static int
put_conf_part(const struct part *p, const struct nginx_conf *c, struct buf *out, struct err *err)
{
    struct buf text;
    int r;

    if (out->n > 0)
        buf_puts(out, "\n\n");
    buf_putf(out, "# Printed by docker-registry-server print-nginx-conf %s, for registry %s.\n%s",
             p->option, c->name, p->where);
    if (c->trust_remote_user && p == SERVER_PART)
        buf_putf(out,
                 "# Who may use it is checked by that server { }, which sets "
                 "$registry_remote_user_%s.\n",
                 c->name);
    buf_init(&text, NGINX_CONF_MAX);
    r = nginx_conf_expand(p->block, c, &text, err);
    buf_putc(out, '\n');
    buf_puts(out, buf_text(&text));
    buf_free(&text);
    return r;
}

static int
put_all_parts(const struct options *o, const struct nginx_conf *c, struct buf *out, struct err *err)
{
    bool both = o->http_part == o->server_part;
    if (both)
        buf_puts(out, "# Two files: the option --http prints the first part alone, and --server "
                      "the second.");
    if ((both || o->http_part) && put_conf_part(HTTP_PART, c, out, err) < 0)
        return -1;
    if ((both || o->server_part) && put_conf_part(SERVER_PART, c, out, err) < 0)
        return -1;
    if (!buf_ok(out))
        return err_set(err, ERR_SYSTEM, "nginx's configuration is too long");
    return 0;
}

/* The data directory's full name with a final slash, or NULL. */
static char *
data_directory(const struct options *o, struct err *err)
{
    char *full = absolute_path(o->dir, err);
    char *with_slash = NULL;

    if (full != NULL)
        with_slash = mem_printf(strcmp(full, "/") == 0 ? "%s" : "%s/", full);
    free(full);
    return with_slash;
}

enum command_exit
command_nginx_conf(struct options *o, struct err *err)
{
    enum command_exit code = COMMAND_FAILED;
    char *htpasswd = NULL;
    char *layers = NULL;
    char *ui = NULL;
    char *dir;
    struct buf out;
    struct nginx_conf c;
    struct s3_bucket bucket;
    char name_servers[NAME_SERVERS_MAX];
    bool has_bucket = o->blobs != NULL && s3_bucket_is(o->blobs);

    if (o->words.n > 0) {
        err_set(err, ERR_BAD_REQUEST, "unexpected argument %s: see docker-registry-server --help",
                o->words.v[0]);
        return COMMAND_USAGE;
    }
    if (o->fastcgi == NULL) {
        err_set(err, ERR_BAD_REQUEST,
                "print-nginx-conf needs --fastcgi DIR, where the sockets of the server are");
        return COMMAND_USAGE;
    }
    dir = data_directory(o, err);
    if (dir == NULL)
        return code;
    buf_init(&out, 2 * NGINX_CONF_MAX);
    if (has_bucket && s3_bucket_parse(&bucket, o->blobs, err) != 0)
        goto done;
    layers = mem_printf("%slayers", dir);
    htpasswd = mem_printf("%srun/htpasswd", dir);
    if (!o->no_ui && (ui = ui_files_find()) == NULL)
        command_note("the web page is left out, as with --no-ui: its files are not installed");
    c = (struct nginx_conf){
        .name = o->name,
        .dir = dir,
        .blobs = o->blobs != NULL && !has_bucket ? o->blobs : layers,
        .s3 = has_bucket ? &bucket : NULL,
        .cache_size = o->cache_size / 2,
        .sockets = o->sockets,
        .htpasswd = htpasswd,
        .ui = ui,
        .version = PACKAGE_VERSION,
        .max_blob_size = o->max_blob_size,
        .max_connections_per_address = o->max_connections_per_address,
        .trust_remote_user = o->trust_remote_user,
        .has_nodes = o->database != NULL,
        .proxies = (const char *const *)o->trusted_proxies.v,
        .proxies_n = o->trusted_proxies.n,
        .log_json = o->log_json,
        .cors = (const char *const *)o->cors.v,
        .cors_n = o->cors.n,
    };
    if (has_bucket)
        c.name_servers =
            name_servers_for(bucket.host, NAME_SERVERS_FILE, NAME_SERVERS_HOSTS, name_servers);
    if (put_all_parts(o, &c, &out, err) < 0) {
        code = err->code == ERR_BAD_REQUEST ? COMMAND_USAGE : COMMAND_FAILED;
        goto done;
    }
    if (fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0)
        code = COMMAND_DONE;
    else
        err_errno(err, "cannot write nginx's configuration");
done:
    buf_free(&out);
    free(htpasswd);
    free(layers);
    free(ui);
    free(dir);
    return code;
}
