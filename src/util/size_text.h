#pragma once

#include <stdint.h>

#define SIZE_TEXT_MAX 32
/* "1.5 GB", for people. */
void size_text(char out[SIZE_TEXT_MAX], uint64_t bytes);
