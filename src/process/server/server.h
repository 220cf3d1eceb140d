#ifndef PROCESS_SERVER_SERVER_H
#define PROCESS_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "domain/events/hook.h"
#include "domain/access/htpasswd.h"
#include "domain/access/token.h"
#include "process/server/datadir.h"
#include "process/server/listener.h"
#include "process/options/options.h"
#include "process/server/pools.h"
#include "process/server/privileges.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/semaphore.h"

/* Sockets besides those of pools. */
enum server_extra {
    SERVER_HERALD,  /* nginx leads listeners to events here */
    SERVER_FEED,    /* between keeper and herald */
    SERVER_CONTROL, /* commands ask the master here */
    SERVER_EXTRA_COUNT,
};
/* herald.sock: where the pools' are. */
#define SERVER_HERALD_NAME "herald.sock"
_Static_assert(sizeof SERVER_HERALD_NAME - 1 <= OPTIONS_SOCKET_NAME_MAX, "see options.h");
#define SERVER_FEED_NAME "run/feed.sock"
#define SERVER_CONTROL_NAME "run/control.sock"

/* What a server is before it has a child: all that is bound, read and locked once. Children get it
 * by fork. */
struct server {
    struct options *options;
    struct privileges who;
    struct datadir dir;
    char *full_dir; /* with --fastcgi: the data directory's full name */
    int startdir;   /* where relative names on the command line start */
    struct listeners listeners;
    int sockets[POOL_COUNT];
    uint64_t started_ms; /* clock_mono_ms */
    struct token_key token_key;
    int extra[SERVER_EXTRA_COUNT];
    int poke;                     /* an eventfd: see server_poke */
    struct semaphore index_seats; /* of workers that wait for an index */
    struct buf given;             /* the lines of --user for run/htpasswd */
    struct htpasswd_state users;  /* with those in auth/htpasswd */
    struct stat users_file;       /* auth/htpasswd as it was read */
    struct hooks hooks;
    bool gate;        /* there was a pre-hook: the workers of POOL_GATE run */
    bool asked;       /* there is one: nginx sends them what it is asked about */
    bool bodies_good; /* uploads can be taken over, when last looked */
};

/* Everything up to the first child; from here on the working directory is the data directory, and
 * the process is the user that it stays. The message says what to do. */
int server_prepare(struct server *s, struct options *o, struct err *err);

/* SIGHUP: reads certificate, key and users anew. What can't be read stays as it was, and is logged;
 * so is each file of a pre-hook that can't be run. */
void server_reload(struct server *s);

/* Every now and then. Reads auth/htpasswd anew when it was changed, so that users count without a
 * signal; that it was removed is believed only with SIGHUP: an accident shall open nothing. Looks
 * whether there are pre-hooks. Logs when nginx's bodies can't be taken over any more. */
void server_watch(struct server *s);

/* No more connections: our copies of the ports, and of the herald's socket, so that whoever waits
 * there is refused. nginx and the herald close their own. */
void server_close_ports(struct server *s);

/* The hooks that the options and the data directory name. *h points into s and its options. */
void server_hooks(const struct server *s, struct hooks *h);

/* Tells the keeper that there is something for it; costs it little, blocks nobody, and one that is
 * lost is made up for within a second. */
#define SERVER_POKE_EVENTS 1
#define SERVER_POKE_HOOKS (UINT64_C(1) << 32) /* and those that wait have changed */
void server_poke(int poke, uint64_t what);
/* What has come since the last time: 0, or at least one of them. */
uint64_t server_poked(int poke);

/* Removes what run/ must not keep: sockets, pid file, keys, hashes. Frees the rest. */
void server_finish(struct server *s);

#endif
