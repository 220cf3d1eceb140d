#ifndef PROCESS_OPTIONS_OPTIONS_H
#define PROCESS_OPTIONS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "domain/events/hook.h"
#include "util/err.h"
#include "util/log.h"

/* The command line and the configuration file, by one table (options_table.h) that --help, the
 * parser and the manual's test read. */

#define OPTIONS_MANY_MAX 64
/* Of processes of a kind, tries and the like. */
#define OPTIONS_COUNT_MAX 100

/* The longest name of a socket in the directory of --fastcgi. */
#define OPTIONS_SOCKET_NAME_MAX 11

struct options_list {
    char *v[OPTIONS_MANY_MAX];
    size_t n;
};

struct options {
    const char *command;           /* argv[1] when it is no option, else "serve" */
    struct options_list words;     /* what else is no option; "serve" takes none */
    struct options_list ports;     /* --port; texts that parse as 0..65535 */
    struct options_list tls_ports; /* --tls-port */
    struct options_list listen;    /* --listen: IPv4 or IPv6 addresses, or localhost */
    struct options_list cors;      /* --cors: origins as browsers send them, or * */
    struct options_list users;     /* --user NAME:PASS; see options_forget_users */
    char *dir;
    char *fastcgi;  /* --fastcgi: the directory for the sockets, as given; NULL: standalone */
    char *sockets;  /* its full name, with a final slash */
    char *name;     /* --name */
    char *base_url; /* --base-url, without a final slash; NULL: not given */
    char *run_as;   /* NULL: not given */
    char *tls_cert;
    char *tls_key;
    char *config;
    char *on[HOOK_COUNT];  /* --on-NAME; NULL: not given */
    char *hooks;           /* --hooks, its full name; NULL: hooks/ of the data directory */
    uint64_t workers;      /* pool api */
    uint64_t bulk_workers; /* pool bulk */
    uint64_t browse_workers;
    uint64_t index_wait_ms;
    uint64_t watchdog_ms;
    uint64_t lease_ms;
    uint64_t upload_expiry_ms;
    uint64_t gc_interval_ms;
    uint64_t max_blob_size;    /* 0: none */
    uint64_t max_repositories; /* 0: none; so the next two */
    uint64_t max_tags;
    uint64_t max_uploads;
    uint64_t hook_timeout_ms;
    uint64_t hook_jobs;
    uint64_t hook_retries; /* may be 0 */
    uint64_t pre_hook_timeout_ms;
    uint64_t event_keep_ms;
    uint64_t index_jobs;
    uint64_t index_memory;  /* bytes; at least OPTIONS_INDEX_MEMORY_MIN */
    uint64_t index_time_ms; /* of the processor */
    uint64_t index_max_entries;
    uint64_t index_max_depth;
    uint64_t index_max_output; /* 0: none */
    uint64_t index_max_ratio;
    enum log_level log_level;
    bool trust_remote_user;
    bool http_part;   /* of print-nginx-conf: only the part for http { } */
    bool server_part; /* and for server { } */
    bool json;        /* of hooks: print JSON */
    char *retry;      /* of hooks: an id */
    char *drop;
    char *prefix;  /* of import: a name in front of all others */
    char *listing; /* of import: a file */
    char *output;  /* of export; NULL: stdout */
    bool help;
    bool version;
};

#define OPTIONS_INDEX_MEMORY_MIN (UINT64_C(128) << 20)

/* Parses the command line, then the file that --config names (the command line wins, repeatable
 * ones add up), then fills in the defaults. Passwords in argv are blanked: they are copied first,
 * so that ps doesn't show them. With --help or --version nothing behind it is looked at. 0, or -1
 * with what is wrong, with what, and what to do; the caller exits with 2. Texts are copies and live
 * until options_free. */
int options_parse(struct options *o, int argc, char **argv, struct err *err);
void options_free(struct options *o);

/* Wipes the passwords from memory, once they are hashed. How many users there were stays. */
void options_forget_users(struct options *o);

/* The part of --help about options. Its first lines are the original's. */
void options_help(FILE *to);

#endif
