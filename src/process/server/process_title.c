#include "process/server/process_title.h"
#include <stdarg.h>
#include <unistd.h>
#include "util/mem.h"

static char *title_bytes;
static size_t title_size;

/* The end of the run of texts that follow each other in memory. */
static char *
run_end(char *end, char **texts)
{
    for (; *texts != NULL && *texts == end; texts++)
        end = *texts + strlen(*texts) + 1;
    return end;
}

static void
move_environment(void)
{
    size_t n = 0, size = 0;
    char **copy, *at;

    while (environ[n] != NULL)
        size += strlen(environ[n++]) + 1;
    copy = mem_alloc((n + 1) * sizeof *copy + size);
    if (copy == NULL)
        return; /* it stays where it is; so does its memory, which nobody overwrites then */
    at = (char *)(copy + n + 1);
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(environ[i]) + 1;
        copy[i] = memcpy(at, environ[i], length);
        at += length;
    }
    copy[n] = NULL;
    environ = copy;
}

void
process_title_init(int argc, char **argv)
{
    char **before, *end;

    if (argc < 1)
        return;
    before = environ;
    end = run_end(argv[0], argv);
    move_environment();
    if (environ != before)
        end = run_end(end, before);
    title_bytes = argv[0];
    title_size = (size_t)(end - argv[0]);
}

void
process_title_set(const char *fmt, ...)
{
    char text[128] = "docker-registry-server: ";
    size_t n = strlen(text);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof text - n, fmt, ap);
    va_end(ap);
    if (title_size == 0)
        return;
    memset(title_bytes, 0, title_size);
    snprintf(title_bytes, title_size, "%s", text);
}
