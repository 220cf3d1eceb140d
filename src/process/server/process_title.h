#ifndef PROCESS_SERVER_PROCESS_TITLE_H
#define PROCESS_SERVER_PROCESS_TITLE_H

/* What ps shows of a process: the memory in which the kernel keeps its arguments. */

/* Once, first thing in main: finds out how much room there is, and moves the environment away from
 * it. Copy what you need of argv before process_title_set. */
void process_title_init(int argc, char **argv);

/* Overwrites the arguments with "docker-registry-server: TEXT", cut to the room that there is. */
void process_title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
