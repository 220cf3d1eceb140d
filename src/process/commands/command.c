#include "process/commands/command.h"
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <unistd.h>
#include "storage/files/audit_file.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/utf8_length.h"

void
command_actor(char out[COMMAND_ACTOR_MAX])
{
    const struct passwd *pw = getpwuid(getuid());

    if (pw != NULL)
        snprintf(out, COMMAND_ACTOR_MAX, "command:%.100s", pw->pw_name);
    else
        snprintf(out, COMMAND_ACTOR_MAX, "command:%u", (unsigned)getuid());
}

void
command_remember(int dirfd, const char *who, const char *what, const char *about)
{
    struct audit_line line = {.time = clock_wall_ms()};
    struct err err;

    snprintf(line.what, sizeof line.what, "%s", what);
    snprintf(line.user, sizeof line.user, "%s", who);
    snprintf(line.about, sizeof line.about, "%s", about);
    /* There is no such directory before the first start. */
    if (audit_file_append(dirfd, AUDIT_FILE_COMMANDS, &line, &err) != 0 && err.sys != ENOENT)
        command_note("this is not in the audit: %s", err.message);
}

void
command_print_text(struct bytes text)
{
    const char *p = text.p;

    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)p[i];
        size_t n = utf8_length(p + i, text.n - i);
        bool is_long = n == 2 && c == 0xc2 && (unsigned char)p[i + 1] < 0xa0;

        if (n == 0 || c < ' ' || c == 0x7f || is_long)
            putchar('?');
        else
            fwrite(p + i, 1, n, stdout);
        i += n > 0 ? n : 1;
    }
}

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
command_print_heading(const char *text, bool has_colour)
{
    printf("%s%s%s\n", has_colour ? "\033[1m" : "", text, has_colour ? "\033[0m" : "");
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
