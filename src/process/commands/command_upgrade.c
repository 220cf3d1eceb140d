#include "process/commands/command_upgrade.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "process/server/control_call.h"
#include "process/server/datadir_plan.h"
#include "util/fdio.h"

#define PROGRAM "/proc/self/exe"

struct upgrade {
    struct privileges who;
    struct datadir dir;
    int startdir, program, connection;
};

/* As root, if root types it: the server looks who connects, since what it executes gets its rights.
 * Nothing else is done with these rights. */
static int
connect_server(struct upgrade *u, const struct options *o, struct err *err)
{
    u->startdir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    u->program = open(PROGRAM, O_PATH | O_CLOEXEC);
    if (u->startdir < 0 || u->program < 0)
        return err_errno(err, "cannot open the current directory, or this program");
    if (datadir_plan(o->dir, o->run_as, &u->who, err) != 0 ||
        datadir_find(&u->dir, o->dir, &u->who, err) != 0)
        return -1;
    u->connection = control_call_connect_as_root(u->who.uid);
    if (u->connection < 0 && errno == EACCES)
        return err_set(err, ERR_DENIED,
                       "the server that runs in %s belongs to another user: run this as root",
                       o->dir);
    if (u->connection < 0)
        return err_set(err, ERR_BUSY, "no server runs in %s: the next start is of this program",
                       o->dir);
    return privileges_drop(&u->who, 0, err);
}

static enum command_exit
ask_for_upgrade(const struct upgrade *u, struct err *err)
{
    const char *args[] = {"upgrade", PACKAGE_VERSION, NULL};
    const int fds[4] = {u->program, STDOUT_FILENO, STDERR_FILENO, u->startdir};
    int code;

    if (control_call_send(u->connection, fds, args, err) != 0)
        return COMMAND_FAILED;
    code = control_call_result(u->connection, err);
    if (code < 0) {
        err_set(err, ERR_BUSY,
                "the server has ended, or this program could not take over: see its log");
        return COMMAND_FAILED;
    }
    return (enum command_exit)code;
}

enum command_exit
command_upgrade(struct options *o, struct err *err)
{
    struct upgrade u = {
        .dir = {.fd = -1, .lock = -1}, .startdir = -1, .program = -1, .connection = -1};
    enum command_exit code = COMMAND_FAILED;

    options_forget_users(o); /* of a configuration file */
    if (o->words.n > 0) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server upgrade, with --dir, --config and --run-as as for "
                "the server");
        return COMMAND_USAGE;
    }
    if (connect_server(&u, o, err) == 0)
        code = ask_for_upgrade(&u, err);
    fdio_close(u.connection);
    fdio_close(u.program);
    fdio_close(u.startdir);
    fdio_close(u.dir.fd);
    return code;
}
