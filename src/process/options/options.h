#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/hook.h"
#include "util/log.h"

/* The values of the command line and the configuration file (options_parse.h). An option is a row
 * of options_table.c and a member of struct options. */

/* Values of one option, and words of a command. */
#define OPTIONS_MANY_MAX 64
/* Processes of one kind, and retries. */
#define OPTIONS_COUNT_MAX 100
/* Bytes of the longest name of a socket in the directory of --fastcgi. */
#define OPTIONS_SOCKET_NAME_MAX 11
/* The user that root becomes without --run-as. */
#define OPTIONS_RUN_AS "www-data"

struct options_list {
    char *v[OPTIONS_MANY_MAX];
    size_t n;
};

/* Texts live until options_free. */
struct options {
    const char *command;                 /* argv[1] when it is no option, else "serve" */
    struct options_list words;           /* arguments that are no options; "serve" takes none */
    struct options_list ports;           /* --port: numbers from 0 to 65535 */
    struct options_list tls_ports;       /* --tls-port */
    struct options_list listen;          /* --listen: IPv4 or IPv6 addresses, or localhost */
    struct options_list immutable;       /* --immutable: patterns of tags */
    struct options_list quotas;          /* --quota: PATTERN SIZE */
    struct options_list cors;            /* --cors: origins as browsers send them, or * */
    struct options_list users;           /* --user: NAME:PASSWORD; see options_forget_users */
    struct options_list trusted_proxies; /* --trusted-proxy: networks, or "none" */
    bool proxy_protocol;                 /* on each port; only with trusted_proxies */
    struct options_list metrics_from; /* --metrics-from: networks, or "none"; n 0: this machine */
    char *access;                     /* --access; NULL: auth/access of the data directory */
    bool anonymous_pull;
    bool no_ui;
    char *retain; /* --retain; NULL: auth/retain of the data directory */
    uint64_t retain_every_ms;
    char *dir;
    bool dir_given;      /* by --dir, or in the file */
    char *blobs;         /* --blobs, its full name; NULL: layers/ of the data directory */
    uint64_t cache_size; /* bytes of copies of objects, half of them nginx's */
    char *database; /* the URL of the database with the metadata; NULL: db/ of the data directory */
    char *node_address; /* HOST:PORT, where other nodes reach this one; NULL: nowhere */
    char *fastcgi;      /* the directory for the sockets, as given; NULL: start nginx */
    char *sockets;      /* its full name, with a final slash */
    char *name;
    char *base_url; /* without a final slash; NULL: not given */
    char *run_as;   /* NULL: not given */
    char *tls_cert;
    char *tls_key;
    char *config;
    char *on[HOOK_COUNT];  /* --on-NAME; NULL: not given */
    char *hooks;           /* --hooks, its full name; NULL: hooks/ of the data directory */
    uint64_t workers;      /* of the pool api */
    uint64_t bulk_workers; /* of the pool bulk */
    uint64_t browse_workers;
    uint64_t index_wait_ms;
    uint64_t watchdog_ms;
    uint64_t lease_ms;
    uint64_t upload_expiry_ms;
    uint64_t history_keep_ms; /* may be 0 */
    uint64_t gc_interval_ms;
    uint64_t snapshot_every_ms; /* 0: none */
    uint64_t snapshot_keep;
    uint64_t max_blob_size; /* bytes; 0: no limit */
    uint64_t min_free;      /* bytes; 0: the database's margin */
    bool read_only;
    uint64_t gc_untagged_ms;              /* 0: manifests without tags stay */
    uint64_t max_repositories;            /* 0: no limit */
    uint64_t max_tags;                    /* 0: no limit */
    uint64_t max_uploads;                 /* 0: no limit */
    uint64_t max_connections_per_address; /* 0: no limit */
    uint64_t max_wrong_passwords;         /* of an address in a minute; 0: no limit */
    uint64_t hook_timeout_ms;
    uint64_t hook_jobs;
    uint64_t hook_retries; /* may be 0 */
    uint64_t pre_hook_timeout_ms;
    uint64_t event_keep_ms;
    uint64_t token_lifetime_ms;
    uint64_t scrub_days; /* 0: never */
    uint64_t index_jobs;
    uint64_t index_memory;  /* bytes */
    uint64_t index_time_ms; /* processor time */
    uint64_t index_max_entries;
    uint64_t index_max_depth;
    uint64_t index_max_output; /* bytes; 0: no limit */
    uint64_t index_max_ratio;
    enum log_level log_level;
    bool log_json;
    char *log_to;
    char *access_log; /* a full name, "syslog", "syslog:SOCKET" or "off" */
    bool trust_remote_user;
    bool http_part;    /* print-nginx-conf --http */
    bool server_part;  /* print-nginx-conf --server */
    bool json;         /* --json of hooks, access, user list, tag, retain */
    bool verbose;      /* retain --verbose */
    char *to;          /* tag undo --to: a number; migrate --to: a place */
    bool force;        /* tag --force */
    bool tagless;      /* tag ls --untagged */
    char *label;       /* find --label; NULL: any */
    bool robot;        /* user --robot */
    bool generate;     /* user --generate */
    bool now;          /* rotate-key --now */
    char *expires;     /* user --expires */
    char *retry;       /* hooks --retry: an id */
    char *drop;        /* hooks --drop: an id */
    char *prefix;      /* import --prefix */
    char *listing;     /* import --listing: a file */
    bool repair;       /* fsck --repair */
    uint64_t rate;     /* fsck --rate: bytes in a second; 0: no limit */
    char *output;      /* export --output; NULL: stdout */
    bool dry_run;      /* --dry-run of gc, retain */
    char *untagged;    /* gc --untagged: a time; NULL: not given */
    bool list;         /* backup --list, snapshot --list */
    bool snapshot;     /* restore --snapshot */
    char *into;        /* rebuild --into */
    uint64_t keep;     /* backup --keep; 0: all */
    uint64_t wait_ms;  /* --wait of backup, snapshot, migrate */
    uint64_t since_ms; /* audit --since */
    char *audit_repo;  /* audit --repo; NULL: all */
    char *audit_user;  /* audit --user; NULL: all */
    int argc;          /* the command line, for parsing it again; its passwords are overwritten */
    char **argv;
    bool help;
    bool version;
    struct options_texts {
        char **v;
        size_t n, room;
    } texts; /* all of the above that are freed */
};

/* Takes over a text from the heap, and returns it. */
char *options_keep(struct options *o, char *text);

/* Overwrites the passwords in memory, when they are hashed or not needed. users.n stays. */
void options_forget_users(struct options *o);

/* Why there are none with --database. */
#define OPTIONS_NO_SNAPSHOTS                                                     \
    "snapshots are of Berkeley DB alone: make a backup instead, or copies with " \
    "PostgreSQL's own tools"

/* True if there is an --access-log, but the nginx that would write it isn't ours; and the words for
 * that. */
bool options_log_is_foreign(const struct options *o);
#define OPTIONS_FOREIGN_LOG                                                     \
    "--access-log has no effect with --fastcgi: your own nginx writes it, see " \
    "docker-registry-server-nginx(7)"

void options_free(struct options *o);
