#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Processes as /proc shows them. A process that can't be read counts as absent. */

/* A small file of a process: "stat", or "cmdline" with blanks between the arguments; "" when it
 * can't be read. */
void procfs_read(int pid, const char *file, char *out, size_t n);

/* 'R', 'S', 'T' (stopped), 'Z' and so on; '\0' when there is no such process. */
char procfs_state(int pid);
int procfs_parent(int pid);
/* The process that traces it, such as a debugger; 0: none. */
int procfs_tracer(int pid);
/* Is that the kernel's name of the process? Only the first 15 bytes are compared. */
bool procfs_is_called(int pid, const char *name);
/* Is this directory its working directory? Known only of processes that can be traced. */
bool procfs_works_in(int pid, int dirfd);

/* Calls fn for all processes except our own. */
void procfs_each(void (*fn)(int pid, void *arg), void *arg);

/* Calls fn for the children of a process with one thread, and for descendants down to that number
 * of generations. Does nothing if the kernel doesn't list children (CONFIG_PROC_CHILDREN). */
void procfs_each_below(int pid, int generations, void (*fn)(int pid, void *arg), void *arg);
