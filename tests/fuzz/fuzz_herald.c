/* A packet between keeper and herald. */
#include "fuzz.h"
#include "process/herald/herald_protocol.h"
#include "util/mem.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct herald_message *m = mem_alloc(sizeof *m), *again = mem_alloc(sizeof *again);
    struct err err = {0};
    struct buf b;

    if (herald_protocol_decode(m, bytes_of(data, n), &err) != 0) {
        MUST(err.code == ERR_CORRUPT && err.message[0] != '\0');
    } else {
        MUST(m->type > 0 && m->type < HERALD_LAST);
        MUST(m->n <= HERALD_EVENTS_MAX);
        MUST(memchr(m->repository, '\0', sizeof m->repository) != NULL);
        MUST(memchr(m->line, '\0', sizeof m->line) != NULL);
        /* A packet that was understood can be written, and is then understood in the same way. */
        buf_init(&b, HERALD_PACKET_MAX);
        herald_protocol_encode(&b, m);
        MUST(buf_ok(&b));
        MUST(herald_protocol_decode(again, buf_bytes(&b), &err) == 0);
        MUST(again->type == m->type && again->seq == m->seq && again->n == m->n);
        MUST(strcmp(again->repository, m->repository) == 0 && strcmp(again->line, m->line) == 0);
        buf_free(&b);
    }
    free(m);
    free(again);
    return 0;
}
