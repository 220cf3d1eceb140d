#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "process/master.h"
#include "process/options.h"
#include "process/server.h"
#include "process/title.h"
#include "util/log.h"
#include "util/banned.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

static int
complain(const struct err *err, int code)
{
    fprintf(stderr, "docker-registry-server: %s\n", err->message);
    return code;
}

static int
serve(struct options *o)
{
    struct server s;
    struct err err;
    if (server_prepare(&s, o, &err) < 0)
        return complain(&err, EXIT_FAILED);
    int r = master_run(&s, &err);
    server_finish(&s);
    return r == 0 ? EXIT_DONE : complain(&err, EXIT_FAILED);
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
    title_init(argc, argv);
    int code;
    if (options_parse(&o, argc, argv, &err) < 0) {
        code = complain(&err, EXIT_USAGE);
    } else if (o.help) {
        options_help(stdout);
        code = EXIT_DONE;
    } else if (o.version) {
        printf("docker-registry-server %s\n", PACKAGE_VERSION);
        code = EXIT_DONE;
    } else {
        log_set_level(o.log_level);
        code = serve(&o);
    }
    options_free(&o);
    return code;
}
