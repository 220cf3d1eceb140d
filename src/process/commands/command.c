#include "process/commands/command.h"
#include <stdarg.h>

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
