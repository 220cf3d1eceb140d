#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "domain/events/hook.h"
#include "domain/access/htpasswd.h"
#include "domain/access/login_cache.h"
#include "domain/access/token_key.h"
#include "domain/core/repository_sizes.h"
#include "domain/retention/pull_memory.h"
#include "domain/metrics/metrics.h"
#include "process/server/access_source.h"
#include "process/server/datadir.h"
#include "process/server/handover.h"
#include "process/server/listener.h"
#include "process/options/options.h"
#include "process/server/pools.h"
#include "process/server/privileges.h"
#include "process/server/retain_source.h"
#include "process/server/tls_files.h"
#include "util/buf.h"
#include "util/err.h"
#include "storage/files/blob_store.h"
#include "storage/files/body_ahead.h"
#include "storage/kv/kv_nodes.h"
#include "util/fd_exchange.h"
#include "util/semaphore.h"
#include "util/share.h"

/* Sockets besides those of pools. */
enum server_extra {
    SERVER_HERALD,  /* nginx connects listeners of events here */
    SERVER_FEED,    /* between keeper and herald */
    SERVER_CONTROL, /* commands ask the master here */
    SERVER_EXTRA_COUNT,
};
/* herald.sock is in the same directory as the sockets of the pools. */
#define SERVER_HERALD_NAME "herald.sock"
_Static_assert(sizeof SERVER_HERALD_NAME - 1 <= OPTIONS_SOCKET_NAME_MAX, "see options.h");
#define SERVER_FEED_NAME "run/feed.sock"
#define SERVER_CONTROL_NAME "run/control.sock"

/* Commands that have a process in the server at once (process/master/control_door.h). */
#define SERVER_COMMANDS_MAX 8

/* Where our nginx writes its pid, below the data directory. */
#define SERVER_NGINX_PID "run/nginx.pid"

/* A server before it has a child: everything that is bound, read and locked once. Children inherit
 * it by fork. */
struct server {
    struct options *options;
    const struct handover *from; /* of the server whose place this one takes; NULL: none */
    struct privileges who;
    struct datadir dir;
    struct blob_store blobs;
    char *full_dir; /* with --fastcgi: the data directory's full name */
    bool read_only; /* pulls only */
    bool is_copy;   /* dir isn't the data directory, but readonly_dir's */
    int original;   /* then: the lock of the data directory, or -1 */
    int startdir;   /* the directory to which names on the command line are relative */
    struct listeners listeners;
    int sockets[POOL_COUNT];
    uint64_t started_ms;          /* clock_mono_ms */
    struct token_keys token_keys; /* at the start */
    struct kv_node node;          /* with --database: this node (node.h) */
    int extra[SERVER_EXTRA_COUNT];
    int poke;                        /* an eventfd: see server_poke */
    struct semaphore index_seats;    /* held by workers that wait for an index */
    struct fd_exchange exchange;     /* between the workers of POOL_API */
    struct share shares[POOL_COUNT]; /* n is 0 for pools without a limit of a client */
    struct buf given;                /* the lines of --user for run/htpasswd */
    struct htpasswd_state users;     /* these and the users of auth/htpasswd */
    struct stat users_file;          /* auth/htpasswd as it was read */
    struct access_source access;     /* rules and groups */
    struct retain_source retain;
    bool bad_rules; /* server_prepare failed because of the rules of retention */
    struct login_cache login_cache;
    struct metrics metrics; /* a place for the master, and one for each in its table of processes */
    struct body_ahead body_ahead;
    struct pull_memory pulls;
    struct repository_sizes sizes;
    struct hooks hooks;
    bool gate;        /* a pre-hook was seen: the workers of POOL_GATE run */
    bool asked;       /* there is a pre-hook now: nginx sends POOL_GATE the requests that it is
                       * asked about */
    bool has_ui;      /* the web page is in run/ui/ */
    bool bodies_good; /* uploads could be taken over at the last check */
    struct certificate_span certificate;
    uint64_t certificate_at; /* clock_mono_ms of the next look at it */
};

/* Does everything up to the first child. From here on the working directory is the data directory,
 * and the process has its final user. The message says what to do. */
int server_prepare(struct server *s, struct options *o, const struct handover *from,
                   struct err *err);

/* Adds what a program needs to take our place, which has been started in the directory of our
 * start. Not for a read-only file system. */
void server_hand_over(const struct server *s, struct handover *h);

/* Warns if everybody may push and pull, or nobody. */
void server_warn_of_users(const struct server *s);

/* For SIGHUP: reads certificate, key, users, groups, and both kinds of rules anew. A file that
 * can't be read leaves the old state, and is logged; so is each file of a pre-hook that can't be
 * run. */
void server_reload(struct server *s);

/* Call it now and then. Reads users, groups and rules anew when their files have changed, so that
 * they count without a signal. A removed file counts only after SIGHUP, so that an accident opens
 * nothing. Removes robots that have expired. Looks for pre-hooks. Logs when nginx's bodies can no
 * longer be taken over. Warns of the certificate, once a day. */
void server_watch(struct server *s);

/* Closes our copies of the ports and of the herald's socket, so that new connections are refused.
 * nginx and the herald close their own. */
void server_close_ports(struct server *s);
/* When the herald is gone for good: the keeper would wait for it in a connection that nobody
 * accepts. */
void server_close_feed(struct server *s);

/* The hooks that the options and the data directory name. *h points into s and its options. */
void server_hooks(const struct server *s, struct hooks *h);

/* Tells the keeper that there is work. Never blocks. If a poke is lost, the keeper looks within a
 * second anyway. */
#define SERVER_POKE_EVENTS (UINT64_C(1) << 16) /* less: a request waits for an index */
#define SERVER_POKE_HOOKS (UINT64_C(1) << 32)  /* and the waiting rows have changed */
void server_poke(int poke, uint64_t what);
/* The sum of the pokes since the last call. */
uint64_t server_poked(int poke);

/* For the master: a process ended and is started again. */
void server_count_restart(const struct server *s, enum metrics_process process, bool planned);

/* Removes the files that must not stay in run/: sockets, pid file, keys, hashes. Frees the rest. */
void server_finish(struct server *s);
