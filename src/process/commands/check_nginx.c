#include "process/commands/check_nginx.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/nginx/nginx.h"
#include "process/nginx/nginx_conf.h"
#include "process/server/runfile.h"
#include "storage/files/blob_store.h"
#include "util/fdio.h"
#include "util/mem.h"

#define CONF_NAME "run/nginx.conf"
#define OUTPUT_MAX (64u * 1024)

int
check_nginx_begin(struct check_nginx_scratch *scratch, struct err *err)
{
    const char *tmp = getenv("TMPDIR");

    scratch->path = mem_printf("%s/docker-registry-server-check.XXXXXX",
                               tmp != NULL && *tmp == '/' ? tmp : "/tmp");
    if (mkdtemp(scratch->path) == NULL) {
        err_errno(err, "cannot make directory %s (see TMPDIR)", scratch->path);
        free(scratch->path);
        scratch->path = NULL;
        return -1;
    }
    scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return scratch->fd >= 0 ? 0 : err_errno(err, "cannot open directory %s", scratch->path);
}

void
check_nginx_end(struct check_nginx_scratch *scratch)
{
    struct err ignored;

    fdio_close(scratch->fd);
    if (scratch->path != NULL)
        (void)fdio_remove_tree(AT_FDCWD, scratch->path, &ignored);
    free(scratch->path);
    *scratch = (struct check_nginx_scratch){.fd = -1};
}

static int
fill_scratch(const struct server *s, const struct tls_files *tls, int scratch, struct err *err)
{
    static const char *const dirs[] = {"run", "uploads", "uploads/body", BLOB_CACHE_DIR};
    struct buf text;
    int rc = 0;

    for (size_t i = 0; rc >= 0 && i < sizeof dirs / sizeof *dirs; i++)
        rc = fdio_mkdir(scratch, dirs[i], 0700, err);
    if (rc >= 0 && tls_files_wanted(s->options))
        rc = tls_files_install(tls, scratch, err);
    if (rc < 0)
        return -1;
    buf_init(&text, NGINX_CONF_MAX);
    rc = nginx_text(s, &text, err);
    if (rc == 0)
        rc = runfile_write(scratch, CONF_NAME, buf_bytes(&text), err);
    buf_free(&text);
    return rc;
}

_Noreturn static void
become_nginx_test(const struct server *s, const char *program, int scratch, int out)
{
    int nothing = open("/dev/null", O_RDWR);

    if (privileges_forget(&s->who) != 0 || fchdir(scratch) != 0 || nginx_pass_sockets(s) != 0)
        _exit(1);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execl(program, "nginx", "-t", "-q", "-p", "./", "-c", CONF_NAME, "-e", "stderr", (char *)NULL);
    dprintf(STDERR_FILENO, "nginx: [emerg] cannot run %s: %s\n", program, strerror(errno));
    _exit(1);
}

/* The first line that tells of a failure, without what stands in front of it. */
static int
explain_nginx(const struct buf *said, struct err *err)
{
    static const char mark[] = "[emerg] ";
    const char *line = strstr(buf_text(said), mark);

    if (line == NULL)
        return err_set(err, ERR_SYSTEM, "nginx -t failed: %.500s",
                       said->n > 0 ? buf_text(said) : "it ended without a message");
    line += strlen(mark);
    line += strspn(line, "0123456789#: "); /* of which process */
    return err_set(err, ERR_SYSTEM, "nginx would not start: %.*s", (int)strcspn(line, "\n"), line);
}

int
check_nginx_test(const struct server *s, const struct tls_files *tls, int scratch, struct err *err)
{
    char program[256];
    int ends[2], status = 0, rc;
    struct buf said;
    pid_t pid;

    if (!nginx_find(program, sizeof program))
        return err_set(err, ERR_SYSTEM,
                       "nginx was not found, neither in PATH nor in /usr/sbin: install the package "
                       "nginx (or nginx-light)");
    if (fill_scratch(s, tls, scratch, err) != 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) < 0)
        return err_errno(err, "cannot start nginx -t");
    if (pid == 0)
        become_nginx_test(s, program, scratch, ends[1]);
    close(ends[1]);
    buf_init(&said, OUTPUT_MAX);
    rc = fdio_read_all(ends[0], "nginx's answer", &said, err);
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (rc >= 0)
        rc = status == 0 ? 0 : explain_nginx(&said, err);
    buf_free(&said);
    return rc < 0 ? -1 : 0;
}
