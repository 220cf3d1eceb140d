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
/* The process that traces it, a debugger say; 0: none. */
int procfs_tracer(int pid);
/* Is that the kernel's name of the process? The first 15 bytes count. */
bool procfs_is_called(int pid, const char *name);
/* Is this directory its working directory? Known only of processes that can be traced. */
bool procfs_works_in(int pid, int dirfd);

/* Calls fn for all processes except our own. */
void procfs_each(void (*fn)(int pid, void *arg), void *arg);

/* Calls fn for the children of a process that has one thread, and their children, so many
 * generations down. Does nothing if the kernel doesn't tell children (CONFIG_PROC_CHILDREN). */
void procfs_each_below(int pid, int generations, void (*fn)(int pid, void *arg), void *arg);
