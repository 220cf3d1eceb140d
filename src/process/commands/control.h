#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "domain/registry.h"
#include "process/commands/command.h"
#include "process/options/options.h"
#include "process/server/control_call.h"
#include "process/server/server.h"

/* Commands that need the database, such as "docker-registry-server hooks". While a server runs, the
 * caller sends the arguments and four descriptors (0, 1, 2 and its working directory) in one packet
 * to SERVER_CONTROL_NAME. The server's master forks a child, which works with these descriptors
 * (process/master/control_door.h): it reads and prints as the caller would, but has the server's
 * rights to the store. Its exit code and message come back in another packet. Without a server the
 * caller locks the data directory, recovers the store, and does the work itself. */

#define CONTROL_ARGS_MAX 72 /* more than options.h allows */
#define CONTROL_PACKET_MAX CONTROL_CALL_PACKET_MAX

/* The arguments of the work, in either process. */
struct control {
    const struct server *server; /* its options are the running server's, if there is one */
    const struct registry *reg;
    const char *args[CONTROL_ARGS_MAX]; /* [0] is the command's name */
    size_t args_n;
    int poke;   /* for server_poke; -1: there is no server */
    int caller; /* the caller's connection, for control_is_over; -1 */
};

/* The command's work. Prints on stdout; unless it returns COMMAND_DONE, err says why. Its
 * transactions are short, and it asks control_is_over between them. */
typedef enum command_exit control_work(struct control *c, struct err *err);

/* True if the caller has gone, or the process was told to stop. */
bool control_is_over(const struct control *c);

/* A handler for SIGTERM: from then on control_is_over. */
void control_stop(int signal);

/* The caller's side: does the work here, or asks the server to do the work of the command args[0].
 * args: NULL at the end. */
enum command_exit control_run(struct options *o, control_work *work, const char *const *args,
                              struct err *err);

/* The same, but without a server the store is neither recovered nor opened: reg->kv is NULL.
 * read_only: nothing is written below the data directory, which may be a backup; a server that
 * starts meanwhile waits. */
enum command_exit control_run_closed(struct options *o, bool read_only, control_work *work,
                                     const char *const *args, struct err *err);

/* For the work of such a command: recovers and opens the store. NULL on failure. */
struct kv *control_open_store(const struct server *s, struct err *err);
