#pragma once

#include <stddef.h>

/* The manual pages of src/man. contrib/manual-data.awk makes manual_data.c out of them. */
struct manual_page {
    const char *topic; /* "hooks"; "hooks.5" if the page hooks is also in section 8 */
    char section;      /* '8' */
    const char *text;  /* rendered: ASCII, in lines of up to 78 columns */
    const char *description;
};

extern const struct manual_page manual_data_pages[];
extern const size_t manual_data_pages_n;
