#ifndef PROCESS_MASTER_CONTROL_H
#define PROCESS_MASTER_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "process/commands/command.h"
#include "process/options/options.h"
#include "process/server/server.h"
#include "storage/kv/kv.h"

/* Commands that need the database, "docker-registry-server hooks" say. While a server runs, its
 * master forks a child for one, which is among those that have the database open (children.h), and
 * works with the descriptors of whoever typed it: 0, 1, 2 and the working directory. So messages,
 * lists and files are the caller's, and rights to the store the server's. Asked for by a packet to
 * run/control.sock, which takes root and the server's user; answered by another. Without a server
 * the command locks the data directory, recovers the store, and works in its own process. */

#define CONTROL_SOCKET "run/control.sock"
#define CONTROL_ARGS_MAX 72 /* all words that options.h allows, and more */

/* What a command is told, wherever it runs. */
struct control {
    const struct server *server; /* its options are the running server's, if there is one */
    const struct registry *reg;
    const char *args[CONTROL_ARGS_MAX]; /* [0] is its name */
    size_t args_n;
    int poke;   /* server_poke's; -1: there is no server */
    int caller; /* see control_is_over; -1 */
};

/* Prints what it has to say on stdout; unless it returns COMMAND_DONE, err says why. Its
 * transactions are short, as everybody's; and between them it asks control_is_over now and then. */
typedef enum command_exit control_fn(struct control *c, struct err *err);

/* Has the caller gone, or are we told to stop? */
bool control_is_over(const struct control *c);

/* The caller's side: runs args[0] of the table in control_commands.c, there or here. args: NULL at
 * the end. */
enum command_exit control_run(struct options *o, const char *const *args, struct err *err);

/* ---- the master's side ---- */

/* Who waits to be served, and who has somebody at work. */
#define CONTROL_MAX 8
#define CONTROL_PACKET_MAX 16384

struct control_request {
    int connection; /* -1: free */
    int fds[4];     /* the caller's 0, 1, 2 and working directory; -1 */
    char packet[CONTROL_PACKET_MAX];
    size_t packet_n;  /* 0: hasn't come yet */
    uint64_t give_up; /* clock_mono_ms() */
};

struct control_door {
    int socket;
    struct control_request requests[CONTROL_MAX];
};

void control_open(struct control_door *d, int socket);
/* What to wait for: CONTROL_MAX + 1 of them, for poll. */
void control_poll(const struct control_door *d, struct pollfd *fds);
/* Takes what has come, without waiting for anybody. */
void control_accept(struct control_door *d, uint64_t now);
/* One that a child can be started for; NULL. */
struct control_request *control_ready(struct control_door *d);
/* A child has it, or it is refused with that message (NULL: not). Closes our copies. */
void control_done(struct control_request *r, const char *message);
void control_close(struct control_door *d);

/* The child: does what the request wants, and returns its exit code. */
int control_main(const struct server *s, pid_t master, struct kv_slot *slot,
                 const struct control_request *r);

#endif
