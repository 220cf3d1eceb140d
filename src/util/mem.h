#ifndef UTIL_MEM_H
#define UTIL_MEM_H

#include <stddef.h>

/* Memory from the heap. A process that gets none prints one line and exits with MEM_EXIT; the
 * master starts another in its place. So these functions never return NULL, and no caller checks.
 * They are the only way to the heap: a test finds other calls of malloc and its relatives. What a
 * request may use is bounded by arenas and buffers, which have a maximum and report it. */

/* EX_OSERR of sysexits.h; told apart from an exit because of the database (70). */
#define MEM_EXIT 74

/* n bytes, zeroed; to be freed with free(). n may be 0. */
void *mem_alloc(size_t n);

/* n elements of that size, zeroed. Ends the process too when n * size overflows. */
void *mem_array(size_t n, size_t size);

/* Resizes what one of these functions returned (or NULL) to n elements of that size. Elements that
 * are new are not set. */
void *mem_resize(void *p, size_t n, size_t size);

/* The one way to grow an array: makes *room, the number of elements that p has memory for, at least
 * `need`, and returns the array, which may have moved. Doubles, so that n additions cost O(n). */
void *mem_grow(void *p, size_t *room, size_t need, size_t size);

/* NUL-terminated copies. */
char *mem_copy(const void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* From here on this process prints nothing when it gets no memory: it is a child with a limit, and
 * its parent learns from the exit code that the limit was reached. */
void mem_exit_silently(void);

/* For libraries that report a failed allocation by themselves: prints the line and exits. */
void mem_exhausted(void) __attribute__((noreturn));

#endif
