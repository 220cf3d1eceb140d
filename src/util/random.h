#ifndef UTIL_RANDOM_H
#define UTIL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* From the kernel's generator; ends the program when there is none, since nothing could go on. */
void random_bytes(void *p, size_t n);
uint64_t random_u64(void);

#endif
