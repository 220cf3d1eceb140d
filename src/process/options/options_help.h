#pragma once

#include <stdio.h>

/* The part of --help about options. Its first lines are the original's. */
void options_help(FILE *to);
/* The --help of a command. lines: its lines of the whole --help. */
void options_help_command(FILE *to, const char *command, const char *lines);
