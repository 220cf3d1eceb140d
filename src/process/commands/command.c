#include "process/commands/command.h"
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <unistd.h>
#include "storage/files/audit_file.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/utf8_length.h"
#include "util/utf8_plain.h"

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
        size_t n = utf8_length(p + i, text.n - i);

        if (n == 0 || !utf8_plain(p + i, n))
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
command_print_heading(FILE *to, const char *text, bool has_colour)
{
    fprintf(to, "%s%s%s\n", has_colour ? "\033[1m" : "", text, has_colour ? "\033[0m" : "");
}

/* Of a text of JSON: only its strings have characters that are not ASCII. */
static void
print_json_character(const char *p, size_t n)
{
    unsigned number = utf8_plain_number(p, n);

    if (n == 0 || number < ' ' || utf8_plain(p, n))
        fwrite(p, 1, n > 0 ? n : 1, stdout);
    else if (number < 0x10000)
        printf("\\u%04x", number);
    else
        printf("\\u%04x\\u%04x", 0xd800 + ((number - 0x10000) >> 10), 0xdc00 + (number & 0x3ff));
}

void
command_print(const char *before, struct json *j, const char *after)
{
    size_t n;
    const char *text = json_text(j, &n);

    fputs(before, stdout);
    for (size_t i = 0, step; i<n; i += step> 0 ? step : 1) {
        step = utf8_length(text + i, n - i);
        print_json_character(text + i, step);
    }
    fputs(after, stdout);
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
