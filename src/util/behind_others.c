#include "util/behind_others.h"
#include <pthread.h>
#include <unistd.h>

/* Added to the process's own. */
#define NICE 10

struct work {
    int (*fn)(void *arg);
    void *arg;
    int rc;
};

static void *
do_work(void *arg)
{
    struct work *w = arg;

    /* On Linux of a thread. If it fails, the work has the caller's priority. */
    (void)!nice(NICE);
    w->rc = w->fn(w->arg);
    return NULL;
}

int
behind_others(int (*fn)(void *arg), void *arg)
{
    struct work w = {.fn = fn, .arg = arg};
    pthread_t thread;

    if (pthread_create(&thread, NULL, do_work, &w) != 0)
        return fn(arg);
    pthread_join(thread, NULL);
    return w.rc;
}
