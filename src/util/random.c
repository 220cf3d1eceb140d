#include "util/random.h"
#include <errno.h>
#include <sys/random.h>
#include "util/log.h"

void
random_bytes(void *p, size_t n)
{
    unsigned char *at = p;

    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);

        if (got > 0) {
            at += got;
            n -= (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            log_line(LOG_ERROR, "the kernel gives no random bytes", "errno=%d", errno);
            abort();
        }
    }
}

uint64_t
random_u64(void)
{
    uint64_t v;

    random_bytes(&v, sizeof v);
    return v;
}
