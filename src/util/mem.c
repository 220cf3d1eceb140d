#include "util/mem.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>
#include "util/log.h"

/* Elements in a new array. */
#define FIRST_ROOM 16

#define MEM_PAGE 4096

static bool silent;

void
mem_exhausted(void)
{
    if (!silent)
        log_line(LOG_ERROR, "out of memory; this process ends", "pid=%d", (int)getpid());
    _exit(MEM_EXIT);
}

void
mem_exit_silently(void)
{
    silent = true;
}

void *
mem_alloc(size_t n)
{
    return mem_array(n, 1);
}

void *
mem_array(size_t n, size_t size)
{
    void *p = calloc(n != 0 ? n : 1, size != 0 ? size : 1);

    if (p == NULL)
        mem_exhausted();
    return p;
}

void *
mem_resize(void *p, size_t n, size_t size)
{
    void *moved;

    if (size != 0 && n > SIZE_MAX / size)
        mem_exhausted();
    moved = realloc(p, n * size != 0 ? n * size : 1);
    if (moved == NULL)
        mem_exhausted();
    return moved;
}

void *
mem_pages(size_t n)
{
    void *p = n <= SIZE_MAX - MEM_PAGE
                  ? aligned_alloc(MEM_PAGE, (n + MEM_PAGE - 1) / MEM_PAGE * MEM_PAGE)
                  : NULL;

    if (p == NULL)
        mem_exhausted();
    return p;
}

void *
mem_grow(void *p, size_t *room, size_t need, size_t size)
{
    size_t more = *room;

    if (need <= *room)
        return p;
    if (more < FIRST_ROOM)
        more = FIRST_ROOM;
    while (more < need)
        more = more > SIZE_MAX / 2 ? need : 2 * more;
    *room = more;
    return mem_resize(p, more, size);
}

char *
mem_copy(const void *p, size_t n)
{
    char *copy = mem_resize(NULL, n + 1, 1);

    if (n > 0)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

char *
mem_strdup(const char *s)
{
    return mem_copy(s, strlen(s));
}

char *
mem_printf(const char *fmt, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_exhausted();
    return text;
}
