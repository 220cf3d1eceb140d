/* Uploads that get a KiB a second. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "load.h"

int slow_ready;

bool
slow_begin(struct client *c)
{
    layer_make(&c->blobs[0], (opt.seed << 32) + (uint64_t)c->unit + 1, 0);
    c->blob = 0;
    c->step = STEP_POST;
    image_ask(c);
    return true;
}

bool
slow_got(struct client *c, const struct reply *reply)
{
    static const int wanted[] = {0, 202, 202, 201};

    reply_expect(c, reply, wanted[c->step]);
    if (c->step == STEP_PUT)
        return false;
    place_take(c, reply);
    if (c->step++ == STEP_PATCH) {
        image_ask(c);
        return true;
    }
    c->blobs[1].bytes.len = 0; /* what was sent */
    request_begin(c, "PATCH", c->place, strlen(c->place));
    text_addf(&c->out, "Content-Type: application/octet-stream\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n");
    slow_ready++;
    return true;
}

/* One more KiB for each; the bytes are those of the blob again and again. */
void
slow_feed(struct client *all, bool ends)
{
    for (int i = 0; i < opt.connections; i++) {
        struct client *c = &all[i];

        if (c->step != STEP_PATCH)
            continue;
        text_addf(&c->out, "400\r\n");
        text_add(&c->out, c->blobs[0].bytes.at, 1024);
        text_addf(&c->out, "\r\n");
        text_add(&c->blobs[1].bytes, c->blobs[0].bytes.at, 1024);
        if (ends) {
            text_addf(&c->out, "0\r\n\r\n");
            sha256_hex(c->blobs[0].hex, c->blobs[1].bytes.at, c->blobs[1].bytes.len);
        }
        client_write(c);
    }
}
