#ifndef PROCESS_TITLE_H
#define PROCESS_TITLE_H

/* What ps shows of a process: the memory in which the kernel keeps its arguments. */

/* Once, first thing in main: finds out how much room there is, and moves the environment away from
 * it. Copy what you need of argv before title_set. */
void title_init(int argc, char **argv);

/* Overwrites the arguments with "docker-registry-server: TEXT", cut to the room that there is. */
void title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
