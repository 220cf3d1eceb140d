#pragma once

/* The title of a process in ps: the memory in which the kernel keeps its arguments. */

/* Call it once, first in main. It finds the available room, and moves the environment out of it.
 * Copy the arguments that you need before process_title_set. */
void process_title_init(int argc, char **argv);

/* Overwrites the arguments with "docker-registry-server: TEXT", cut to the available room. */
void process_title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
