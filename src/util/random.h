#pragma once

#include <stddef.h>
#include <stdint.h>

/* Random bytes from the kernel. Ends the program when the kernel gives none. */
void random_bytes(void *p, size_t n);
uint64_t random_u64(void);
