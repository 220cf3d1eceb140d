#pragma once

#include <stdio.h>

/* The part of --help about options. Its first lines are the original's. */
void options_help(FILE *to);
