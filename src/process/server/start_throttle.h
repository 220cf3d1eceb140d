#pragma once

#include <stdint.h>

/* A limit on restarts, as a bucket of tokens. A few deaths are healed at once, however fast they
 * come. A loop of deaths is slowed down, so that it doesn't use up the machine. */
struct start_throttle {
    uint64_t burst;
    uint64_t refill_ms; /* one token each */
    uint64_t tokens;
    uint64_t since_ms; /* when the last token came */
};

void start_throttle_init(struct start_throttle *t, uint64_t burst, uint64_t refill_ms,
                         uint64_t now_ms);

/* Takes a token, and returns the milliseconds to wait before the start: 0 while there are tokens;
 * else the time until the next token that isn't spent yet. The token is spent by this call. */
uint64_t start_throttle_take(struct start_throttle *t, uint64_t now_ms);

/* The same: returns when to start the process of that name, in clock_mono_ms(), and logs it unless
 * that is now. */
uint64_t start_throttle_next(struct start_throttle *t, const char *name, uint64_t now_ms);
