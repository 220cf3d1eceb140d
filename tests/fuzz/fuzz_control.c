/* A packet of run/control.sock: the arguments of a command. */
#include "fuzz.h"
#include "process/master/control_door.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct control_door_request *r = calloc(1, sizeof *r);
    struct control c = {.args_n = 0};
    const char *end;
    size_t used = 0;

    MUST(r != NULL);
    /* The door lets in what ends with a NUL, and isn't empty. */
    if (n > sizeof r->packet - 1)
        n = sizeof r->packet - 1;
    memcpy(r->packet, data, n);
    r->packet_n = n + 1;
    end = r->packet + r->packet_n;
    if (control_door_args(&c, r)) {
        MUST(c.args_n > 0 && c.args_n <= CONTROL_ARGS_MAX);
        for (size_t i = 0; i < c.args_n; i++) {
            MUST(c.args[i] == r->packet + used);
            used += strlen(c.args[i]) + 1;
        }
        MUST(r->packet + used == end);
    }
    free(r);
    return 0;
}
