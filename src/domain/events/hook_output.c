#include "domain/events/hook_output.h"
#include <limits.h>
#include <poll.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/utf8.h"

/* If the log is a pipe that is full because its reader is stuck, the line is dropped. A pipe that
 * poll reports as writable has room for PIPE_BUF bytes. */
static void
write_log_line(const char *a, const char *b)
{
    char text[HOOK_OUTPUT_LINE_MAX + 600];
    struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
    struct err ignored;
    int n = snprintf(text, sizeof text, "%s%s\n", a, b);

    _Static_assert(sizeof text <= PIPE_BUF, "a line may block");
    if (n > 0 && (size_t)n < sizeof text && poll(&ready, 1, 0) == 1)
        fdio_write_all(STDOUT_FILENO, text, (size_t)n, "stdout", &ignored);
}

void
hook_output_begin(struct hook_output *o, enum hook which, const struct rec_event *e)
{
    struct hook_arguments a;
    char text[HOOK_ABOUT_MAX + DIGEST_TEXT_MAX + 100];

    *o = (struct hook_output){.n = 0};
    hook_arguments_of(&a, which, e);
    snprintf(o->begin, sizeof o->begin, "%.12s - ./hooks/%s: ", a.id, hook_name(which));
    snprintf(text, sizeof text, "%.12s - executing ./hooks/%s %s%s%s", a.id, hook_name(which), a.id,
             a.about[0] != '\0' ? " " : "", a.about);
    write_log_line(text, "");
}

static void
end_output_line(struct hook_output *o)
{
    size_t n = utf8_make_plain(o->line, o->n);

    o->line[n] = '\0';
    if (n > 0)
        memcpy(o->last, o->line, n + 1);
    hook_last_line(&o->tail, bytes_of(o->line, n));
    o->n = 0;
    o->any = false;
    if (o->enough)
        return;
    o->bytes += n + strlen(o->begin) + 1;
    o->enough = o->bytes > HOOK_OUTPUT_MAX;
    write_log_line(o->begin, o->enough ? "(more output is not written here)" : o->line);
}

void
hook_output_take(struct hook_output *o, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n') {
            end_output_line(o);
            continue;
        }
        o->any = true;
        if (o->n < HOOK_OUTPUT_LINE_MAX)
            o->line[o->n++] = (char)(p[i] == '\t' ? ' ' : p[i]);
    }
}

void
hook_output_end(struct hook_output *o)
{
    if (o->any)
        end_output_line(o);
}
