#include "process/commands/command.h"
#include <errno.h>
#include <stdarg.h>
#include "util/fdio.h"

void
command_note(const char *fmt, ...)
{
    va_list ap;

    fputs("docker-registry-server: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void
command_print(const char *before, struct json *j, const char *after)
{
    size_t n;
    const char *text = json_text(j, &n);

    printf("%s%.*s%s", before, (int)n, text, after);
    json_free(j);
}

int
command_read(const struct datadir *dir, const struct privileges *who, const char *name,
             struct buf *out, struct err *err)
{
    int rc = fdio_read_file(dir->fd, name, out, err);

    if (rc < 0 && err->sys == EACCES)
        return err_set(err, ERR_SYSTEM, "%s can't read %s/%s: give it to %s with chown %s %s/%s",
                       who->user, dir->name, name, who->user, who->user, dir->name, name);
    return rc < 0 ? fdio_explain_given(name, err) : rc;
}
