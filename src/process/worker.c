#include "process/worker.h"
#include <unistd.h>
#include "process/child.h"
#include "process/fcgi.h"
#include "process/title.h"
#include "protocol/dispatch.h"
#include "util/log.h"
#include "util/banned.h"

static void
on_term(int number)
{
    (void)number;
    fcgi_stop();
}

static void
answer(const struct http_request *req, struct arena *arena, struct http_reply *reply, void *arg)
{
    dispatch(arg, req, arena, reply);
}

int
worker_main(const struct server *s, pid_t master, enum pool_id pool, unsigned number,
            struct kv_slot *slot)
{
    child_begin(s, master, s->sockets[pool], on_term);
    title_set("worker %s %u", pools[pool].name, number);

    struct registry reg;
    child_open(s, slot, &reg);
    struct err err;
    int r = fcgi_serve(s->sockets[pool], answer, &reg, &err);
    if (r < 0)
        log_line(LOG_ERROR, "worker stops", "pool=%s why=%s", pools[pool].name, err.message);
    kv_close(reg.kv);
    return r == 0 ? CHILD_DONE : CHILD_FAILED;
}
