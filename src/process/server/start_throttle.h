#ifndef PROCESS_SERVER_START_THROTTLE_H
#define PROCESS_SERVER_START_THROTTLE_H

#include <stdint.h>

/* How fast what died is started again: a few deaths are healed at once, however quickly they come;
 * a loop of them is slowed down, so that it can't eat the machine. A bucket of tokens. */
struct start_throttle {
    uint64_t burst;
    uint64_t refill_ms; /* one token each */
    uint64_t tokens;
    uint64_t since_ms; /* when the last token came */
};

void start_throttle_init(struct start_throttle *t, uint64_t burst, uint64_t refill_ms,
                         uint64_t now_ms);

/* Takes a token. Returns after how many milliseconds to start: 0 while there are tokens; else when
 * the next comes that nobody waits for yet. Whoever waits has paid. */
uint64_t start_throttle_take(struct start_throttle *t, uint64_t now_ms);

#endif
