#include "util/size_text.h"
#include <stdio.h>

void
size_text(char out[SIZE_TEXT_MAX], uint64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double n = (double)bytes;
    size_t i = 0;

    if (bytes == 1) {
        snprintf(out, SIZE_TEXT_MAX, "1 byte");
        return;
    }
    while (n >= 999.5 && i + 1 < sizeof units / sizeof *units) {
        n /= 1000;
        i++;
    }
    snprintf(out, SIZE_TEXT_MAX, i == 0 || n >= 99.5 ? "%.0f %s" : "%.1f %s", n, units[i]);
}
