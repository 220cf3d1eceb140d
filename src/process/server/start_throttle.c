#include "process/server/start_throttle.h"
#include "util/log.h"

void
start_throttle_init(struct start_throttle *t, uint64_t burst, uint64_t refill_ms, uint64_t now_ms)
{
    *t = (struct start_throttle){burst, refill_ms, burst, now_ms};
}

uint64_t
start_throttle_take(struct start_throttle *t, uint64_t now_ms)
{
    uint64_t new = now_ms > t->since_ms ? (now_ms - t->since_ms) / t->refill_ms : 0;
    t->since_ms += new * t->refill_ms;
    if (t->tokens + new >= t->burst) {
        t->tokens = t->burst;
        t->since_ms = now_ms > t->since_ms ? now_ms : t->since_ms;
    } else {
        t->tokens += new;
    }
    if (t->tokens > 0) {
        t->tokens--;
        return 0;
    }
    /* The next token is spent before it comes. */
    t->since_ms += t->refill_ms;
    return t->since_ms > now_ms ? t->since_ms - now_ms : 0;
}

uint64_t
start_throttle_next(struct start_throttle *t, const char *name, uint64_t now_ms)
{
    uint64_t wait = start_throttle_take(t, now_ms);

    if (wait > 0)
        log_line(LOG_WARN, "processes die too often: the next one starts later",
                 "name=%s wait_ms=%llu", name, (unsigned long long)wait);
    return now_ms + wait;
}
