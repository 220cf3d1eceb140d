#ifndef PROCESS_OPTIONS_OPTIONS_HELP_H
#define PROCESS_OPTIONS_OPTIONS_HELP_H

#include <stdio.h>

/* The part of --help about options. Its first lines are the original's. */
void options_help(FILE *to);

#endif
