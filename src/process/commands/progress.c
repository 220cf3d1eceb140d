#include "process/commands/progress.h"
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include "util/clock.h"

#define PERIOD_MS 200

void
progress_begin(struct progress *p)
{
    *p = (struct progress){.on = isatty(STDERR_FILENO) == 1};
}

void
progress_tell(struct progress *p, const char *fmt, ...)
{
    uint64_t now = clock_mono_ms();
    va_list ap;
    if (!p->on || now < p->next)
        return;
    p->next = now + PERIOD_MS;
    fputc('\r', stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("\033[K", stderr); /* the rest of a longer line */
    fflush(stderr);
}

void
progress_end(struct progress *p)
{
    if (p->on && p->next > 0)
        fputs("\r\033[K", stderr);
    p->next = 0;
}

void
progress_size(char out[PROGRESS_SIZE_MAX], uint64_t bytes)
{
    size_text(out, bytes);
}

void
progress_exact_size(char out[PROGRESS_EXACT_MAX], uint64_t bytes)
{
    char size[SIZE_TEXT_MAX];

    size_text(size, bytes);
    if (bytes < 1000) /* it is exact already */
        snprintf(out, PROGRESS_EXACT_MAX, "%s", size);
    else
        snprintf(out, PROGRESS_EXACT_MAX, "%s (%llu bytes)", size, (unsigned long long)bytes);
}

const char *
progress_plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}
