#pragma once

#include <stddef.h>

/* Memory from the heap. When there is none, the process prints one line and exits with MEM_EXIT;
 * the master starts another in its place. So these functions never return NULL, and no caller
 * checks. They are the only way to the heap: a test reports other calls of malloc and its
 * relatives. The memory of a request is bounded by arenas and buffers, which have a maximum and
 * report when it is passed. */

/* EX_OSERR of sysexits.h. It differs from 70, the exit code after an error of the database. */
#define MEM_EXIT 74

/* n zeroed bytes, to be freed with free(). n may be 0. */
void *mem_alloc(size_t n);

/* n zeroed elements of that size. Also ends the process when n * size overflows. */
void *mem_array(size_t n, size_t size);

/* Resizes memory from one of these functions (or NULL) to n elements of that size. New elements are
 * not set. */
void *mem_resize(void *p, size_t n, size_t size);

/* n bytes, not set, that begin at a page of memory. */
void *mem_pages(size_t n);

/* The one way to grow an array. *room is the number of elements that p has memory for; it becomes
 * at least `need`. Returns the array, which may have moved. The room doubles, so that n additions
 * cost O(n). */
void *mem_grow(void *p, size_t *room, size_t need, size_t size);

/* NUL-terminated copies. */
char *mem_copy(const void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* From now on, this process prints nothing when there is no memory. For a child with a limit, whose
 * parent learns from the exit code that the limit was reached. */
void mem_exit_silently(void);

/* Prints the line and exits, for libraries that report a failed allocation to their caller. */
void mem_exhausted(void) __attribute__((noreturn));
