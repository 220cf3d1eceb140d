#include <fcntl.h>
#include <unistd.h>
#include "process/commands/command_table.h"
#include "process/master/master.h"
#include "process/options/options_help.h"
#include "process/options/options_parse.h"
#include "process/server/node.h"
#include "process/server/server.h"
#include "process/server/process_title.h"
#include "util/log.h"
#include "util/syslog_socket.h"

static enum command_exit
serve_registry(struct options *o, const struct handover *from, struct err *err)
{
    struct server s;
    int rc = server_prepare(&s, o, from, err);
    if (rc != 0)
        return s.bad_rules ? COMMAND_USAGE : COMMAND_FAILED;
    rc = node_begin(&s, err);
    if (rc == 0)
        rc = master_run(&s, err);
    server_finish(&s);
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
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

/* Opens what is missing of the descriptors 0 to 2, so that no socket becomes one of them. */
static void
open_missing_stdio(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static void
set_log_target(const struct options *o)
{
    log_set_json(o->log_json);
    if (strcmp(o->log_to, "syslog") == 0)
        log_set_syslog(SYSLOG_SOCKET_DEFAULT);
    else if (strncmp(o->log_to, "syslog:", 7) == 0)
        log_set_syslog(o->log_to + 7);
}

/* command: NULL for "serve". from: of the server whose place this one takes, or NULL. */
static enum command_exit
run_command(const struct command *command, int argc, char **argv, const struct handover *from,
            struct err *err)
{
    struct options o;
    struct bytes kept = {NULL, 0};
    enum command_exit code = COMMAND_DONE;

    if (from != NULL)
        (void)handover_get_text(from, HANDOVER_OPTIONS, 0, &kept);
    if (options_parse_kept(&o, argc, argv, kept, err) != 0) {
        code = COMMAND_USAGE;
    } else if (o.help && command != NULL) {
        options_help_command(stdout, command->name, command->help);
    } else if (o.help) {
        print_help();
    } else if (o.version) {
        printf("docker-registry-server %s\n", PACKAGE_VERSION);
    } else {
        log_set_level(o.log_level);
        set_log_target(&o);
        log_limit_client_lines(LOG_CLIENT_BURST, LOG_CLIENT_EVERY_MS);
        code = command != NULL ? command->run(&o, err) : serve_registry(&o, from, err);
    }
    options_free(&o);
    return code;
}

int
main(int argc, char **argv)
{
    const char *name = options_parse_command(argc, argv);
    const struct command *command = command_table_find(name);
    struct err err;
    enum command_exit code = COMMAND_USAGE;
    struct handover from;
    int taken;

    open_missing_stdio();
    process_title_init(argc, argv);
    taken = handover_take(&from, &err);
    if (taken < 0)
        code = COMMAND_FAILED;
    else if (command == NULL && strcmp(name, "serve") != 0)
        err_set(&err, ERR_BAD_REQUEST, "unknown command %s: see docker-registry-server --help",
                name);
    else
        code = run_command(command, argc, argv, taken > 0 && command == NULL ? &from : NULL, &err);
    handover_free(&from);
    if (code != COMMAND_DONE)
        fprintf(stderr, "docker-registry-server: %s\n", err.message);
    return code;
}
