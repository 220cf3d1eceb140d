#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "process/commands/command.h"
#include "process/commands/command_export.h"
#include "process/commands/command_help.h"
#include "process/commands/command_hooks.h"
#include "process/commands/command_import.h"
#include "process/commands/command_nginx_conf.h"
#include "process/commands/command_user.h"
#include "process/master/master.h"
#include "process/options/options.h"
#include "process/server/server.h"
#include "process/server/process_title.h"
#include "util/log.h"
#include "util/banned.h"

static enum command_exit
serve_registry(struct options *o, struct err *err)
{
    struct server s;
    if (server_prepare(&s, o, err) < 0)
        return COMMAND_FAILED;
    int r = master_run(&s, err);
    server_finish(&s);
    return r == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static const struct command {
    const char *name;
    command_run *run;
} commands[] = {
    {"serve", serve_registry},  {"print-nginx-conf", command_nginx_conf},
    {"user", command_user},     {"hooks", command_hooks},
    {"import", command_import}, {"export", command_export},
    {"help", command_help},
};

static enum command_exit
run_command(struct options *o, struct err *err)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, o->command) == 0)
            return commands[i].run(o, err);
    err_set(err, ERR_BAD_REQUEST, "unexpected argument %s: see docker-registry-server --help",
            o->command);
    return COMMAND_USAGE;
}

/* Descriptors 0 to 2 are taken, so that no socket becomes one of them. */
static void
take_stdio(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct err err;
    take_stdio();
    process_title_init(argc, argv);
    enum command_exit code = COMMAND_DONE;
    if (options_parse(&o, argc, argv, &err) < 0) {
        code = COMMAND_USAGE;
    } else if (o.help) {
        options_help(stdout);
    } else if (o.version) {
        printf("docker-registry-server %s\n", PACKAGE_VERSION);
    } else {
        log_set_level(o.log_level);
        code = run_command(&o, &err);
    }
    if (code != COMMAND_DONE)
        fprintf(stderr, "docker-registry-server: %s\n", err.message);
    options_free(&o);
    return code;
}
