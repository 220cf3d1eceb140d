#pragma once

#include <stddef.h>

/* The manual pages of src/man, as they are; Makefile.am makes manual_data.c out of them. */
struct manual_page {
    const char *file; /* "docker-registry-server-hooks.5" */
    const char *text;
};

extern const struct manual_page manual_data_pages[];
extern const size_t manual_data_pages_n;
