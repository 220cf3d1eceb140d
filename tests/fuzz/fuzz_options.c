/* Arguments, one a line; after an empty line the configuration file. */
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz.h"
#include "process/options/options_parse.h"
#include "util/fdio.h"

#define ARGUMENTS_MAX 70

static void
check(const struct options *o)
{
    if (o->help || o->version)
        return;
    MUST(o->ports.n + o->tls_ports.n > 0 || o->fastcgi != NULL);
    MUST(o->workers >= 1 && o->workers <= 100 && o->bulk_workers >= 1 && o->bulk_workers <= 100);
    MUST((o->tls_cert == NULL) == (o->tls_key == NULL));
    MUST(o->upload_expiry_ms > 0 && o->gc_interval_ms > 0);
    for (size_t i = 0; i < o->users.n; i++) {
        const char *colon = strchr(o->users.v[i], ':');
        MUST(colon != NULL && colon != o->users.v[i] && colon[1] != '\0');
    }
}

static int
write_config(const uint8_t *data, size_t n, char name[40])
{
    struct err err;
    int fd = memfd_create("config", MFD_CLOEXEC);
    MUST(fd >= 0 && fdio_write_all(fd, data, n, "config", &err) == 0);
    snprintf(name, 40, "--config=/proc/self/fd/%d", fd);
    return fd;
}

/* Other files than ours are not to be opened. */
static char *
next_argument(const uint8_t **data, size_t *n)
{
    char *line = fuzz_line(data, n);
    if (strncmp(line, "--config", 8) == 0)
        line[0] = '\0';
    return line;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct options o;
    struct err err = {0};
    char config[40];
    char program[] = "docker-registry-server";
    char *argv[ARGUMENTS_MAX + 3] = {program};
    char *mine[ARGUMENTS_MAX];
    int argc = 1, mine_n = 0, fd = -1;
    unsetenv("PORT");
    while (n > 0 && data[0] != '\n' && argc <= ARGUMENTS_MAX)
        mine[mine_n++] = argv[argc++] = next_argument(&data, &n);
    if (n > 0 && data[0] == '\n') {
        fd = write_config(data + 1, n - 1, config);
        argv[argc++] = config;
    }
    if (options_parse(&o, argc, argv, &err) == 0)
        check(&o);
    else
        MUST(err.message[0] != '\0');
    options_free(&o);
    if (fd >= 0)
        close(fd);
    for (int i = 0; i < mine_n; i++)
        free(mine[i]);
    return 0;
}
