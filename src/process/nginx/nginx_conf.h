#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "storage/s3/s3_bucket.h"
#include "util/buf.h"
#include "util/err.h"

/* nginx's configuration, made from the templates in conf/. Pure: reads no file, asks no system.
 *
 * Templates: @NAME@ is replaced by a block of blocks.conf, or by a value from the struct below;
 * blocks may hold blocks. A block starts on a line of its own and takes over the indentation of the
 * line that names it. Lines that start with # are left out. An unknown name is an error, and so is
 * an @ that starts no name. */

struct nginx_conf {
    const char *name;  /* tells two registries in one nginx apart: [a-z0-9_]+ */
    const char *dir;   /* the data directory: "" (nginx's prefix), or absolute with a final / */
    const char *blobs; /* where the files of blobs are, as dir, but without a final / */
    const struct s3_bucket *s3; /* instead: where objects are; NULL: there are files */
    const char *name_servers;   /* which find its host (name_servers.h); NULL: found at the start */
    uint64_t cache_size;        /* bytes of objects that nginx keeps */
    const char *sockets;        /* where api.sock and bulk.sock are, with a final / */
    const char *htpasswd;       /* relative to the configuration's directory, or absolute */
    const char *ui;      /* where the files of the web page are, with a final /; NULL: left out */
    const char *version; /* for X-Docker-Registry-Version */
    bool log_json;       /* the format of the access log */
    uint64_t max_blob_size;               /* in bytes; 0: any */
    uint64_t max_connections_per_address; /* 0: any number */
    /* The site around us checks passwords, and sets $registry_remote_user_NAME. */
    bool trust_remote_user;
    bool has_nodes; /* requests may be passed on to other servers of the same database */

    /* Networks of proxies that are believed who their clients are, or "none"; n 0: this machine, as
     * for the scheme, but not for addresses. */
    const char *const *proxies;
    size_t proxies_n;

    /* Origins whose pages may use /v2/: "*" for any, and others by name. */
    const char *const *cors;
    size_t cors_n;

    /* The rest is for a configuration of our own. */

    /* "0.0.0.0:8000", "[::]:8000": exactly the addresses of the inherited sockets, because nginx
     * finds them by address and binds the ones that it doesn't find. With tls_n == 0 the
     * configuration has no TLS; else nginx needs tls.crt and tls.key beside the configuration. */
    const char *access_log; /* as nginx's directive has it; NULL: none */
    const char *const *plain;
    size_t plain_n;
    const char *const *tls;
    size_t tls_n;

    /* They send the PROXY protocol on each port, and what their clients say in headers counts no
     * more than that of other clients. */
    bool proxy_protocol;

    uint64_t workers;
    /* Descriptors and connections of each of nginx's workers. nginx warns unless nofile is at most
     * the hard limit of its parent, and at least connections. */
    uint64_t nofile;
    uint64_t connections;
};

/* More than any configuration needs: for buf_init. */
#define NGINX_CONF_MAX (256u * 1024)

/* Appends the whole of run/nginx.conf to out. 0, or -1: a value holds a byte that has a meaning for
 * nginx (ERR_BAD_REQUEST, naming the value), or the templates are wrong (ERR_CORRUPT); the appended
 * bytes are then useless. */
int nginx_conf_standalone(const struct nginx_conf *c, struct buf *out, struct err *err);

/* The same for a text of the caller: "@HTTP@" or "@LOCATIONS@" for an existing nginx. */
int nginx_conf_expand(const char *text, const struct nginx_conf *c, struct buf *out,
                      struct err *err);
