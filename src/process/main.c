#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "process/commands/command_table.h"
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
    int rc = server_prepare(&s, o, err);
    if (rc != 0)
        return COMMAND_FAILED;
    rc = master_run(&s, err);
    server_finish(&s);
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static enum command_exit
run_command(struct options *o, struct err *err)
{
    const struct command *command = command_table_find(o->command);
    if (strcmp(o->command, "serve") == 0)
        return serve_registry(o, err);
    if (command != NULL)
        return command->run(o, err);
    err_set(err, ERR_BAD_REQUEST, "unexpected argument %s: see docker-registry-server --help",
            o->command);
    return COMMAND_USAGE;
}

static void
print_help(void)
{
    options_help(stdout);
    puts("Commands, each with --dir, --config and --run-as where it needs them; see\n"
         "\"docker-registry-server help COMMAND\":\n");
    for (size_t i = 0; i < command_table_n; i++)
        fputs(command_table[i].help, stdout);
    putchar('\n');
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
        print_help();
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
