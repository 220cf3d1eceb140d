#include "process/options/absolute_path.h"
#include <limits.h>
#include <unistd.h>
#include "util/buf.h"
#include "util/mem.h"

/* Appends the steps of a name, each with a slash before it. */
static void
put_path_steps(struct buf *out, const char *name)
{
    for (const char *p = name; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n > 0 && !(n == 1 && *p == '.')) {
            buf_putc(out, '/');
            buf_put(out, p, n);
        }
        p += n + (p[n] == '/');
    }
}

char *
absolute_path(const char *name, struct err *err)
{
    char here[PATH_MAX], *full = NULL;
    struct buf out;
    buf_init(&out, (size_t)2 * PATH_MAX);
    if (*name != '/') {
        if (getcwd(here, sizeof here) == NULL) {
            err_errno(err, "cannot tell the full name of the current directory");
            return NULL;
        }
        put_path_steps(&out, here);
    }
    put_path_steps(&out, name);
    if (out.n == 0)
        buf_putc(&out, '/');
    if (buf_ok(&out))
        full = mem_strdup(buf_text(&out));
    else
        err_set(err, ERR_SYSTEM, "%s: the full name is too long", name);
    buf_free(&out);
    return full;
}
