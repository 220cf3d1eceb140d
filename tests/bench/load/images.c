/* Images, pushed as docker does it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load.h"

static uint64_t
random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A tar of one file. */
void
layer_make(struct blob *b, uint64_t seed, int layer)
{
    int size = opt.layer_size - 512 - 1024;
    unsigned sum = 0;
    uint64_t state = seed;
    char *head;

    for (int i = 0; i < 8; i++)
        random_next(&state);
    b->bytes.len = 0;
    text_room(&b->bytes, (size_t)opt.layer_size + 1);
    head = b->bytes.at;
    memset(head, 0, (size_t)opt.layer_size);
    b->bytes.len = (size_t)opt.layer_size;
    snprintf(head, 100, "srv/file-%d", layer);
    memcpy(head + 100,
           "0000644\0"
           "0000000\0"
           "0000000\0",
           24);
    snprintf(head + 124, 12, "%011o", (unsigned)size);
    memcpy(head + 136, "14000000000\0        0", 21);
    memcpy(head + 257,
           "ustar\0"
           "00",
           8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)head[i];
    snprintf(head + 148, 8, "%06o", sum);
    for (int i = 0; i < size; i += 8) {
        uint64_t bytes = random_next(&state);

        memcpy(head + 512 + i, &bytes, size - i < 8 ? (size_t)(size - i) : 8);
    }
    sha256_hex(b->hex, head, b->bytes.len);
}

static void
image_make(struct client *c)
{
    struct blob *config = &c->blobs[opt.layers], *manifest = config + 1;
    uint64_t image = (opt.seed << 32) + (uint64_t)c->unit * 64 + 1;

    config->bytes.len = manifest->bytes.len = 0;
    text_addf(&config->bytes, "{\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"/srv/file-0\"]},"
                              "\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[");
    for (int i = 0; i < opt.layers; i++) {
        layer_make(&c->blobs[i], (image + (uint64_t)i) * 0x9E3779B97F4A7C15U, i);
        text_addf(&config->bytes, "%s\"sha256:%s\"", i ? "," : "", c->blobs[i].hex);
    }
    text_addf(&config->bytes, "],\"type\":\"layers\"}}");
    sha256_hex(config->hex, config->bytes.at, config->bytes.len);
    text_addf(&manifest->bytes,
              "{\"config\":{\"digest\":\"sha256:%s\",\"mediaType\":"
              "\"application/vnd.oci.image.config.v1+json\",\"size\":%zu},\"layers\":[",
              config->hex, config->bytes.len);
    for (int i = 0; i < opt.layers; i++)
        text_addf(&manifest->bytes,
                  "%s{\"digest\":\"sha256:%s\",\"mediaType\":"
                  "\"application/vnd.oci.image.layer.v1.tar\",\"size\":%zu}",
                  i ? "," : "", c->blobs[i].hex, c->blobs[i].bytes.len);
    text_addf(&manifest->bytes, "],\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                                "\"schemaVersion\":2}");
    sha256_hex(manifest->hex, manifest->bytes.at, manifest->bytes.len);
}

/* The images of -n are made by connection UNIT % CONNECTIONS, so that -a finds them where they are.
 */
static const char *
image_repository(const struct client *c)
{
    static char name[1024];

    if (opt.connections == 1)
        return opt.repository;
    snprintf(name, sizeof(name), "%s-%d", opt.repository, c->number);
    return name;
}

/* The request of this step. */
void
image_ask(struct client *c)
{
    const struct blob *b = &c->blobs[c->blob];
    char path[2048];

    if (c->blob > opt.layers) {
        snprintf(path, sizeof(path), "/v2/%s/manifests/t%lu-%ld%.*s", image_repository(c),
                 (unsigned long)opt.seed, c->unit, c->step, "abcdefghijklmnopqrstuvwxyz");
        request_begin(c, "PUT", path, strlen(path));
        request_body(c, "application/vnd.oci.image.manifest.v1+json", b->bytes.at, b->bytes.len,
                     false);
        return;
    }
    switch (c->step) {
    case STEP_HEAD:
        snprintf(path, sizeof(path), "/v2/%s/blobs/sha256:%s", image_repository(c), b->hex);
        request_begin(c, "HEAD", path, strlen(path));
        text_addf(&c->out, "\r\n");
        break;
    case STEP_POST:
        snprintf(path, sizeof(path), "/v2/%s/blobs/uploads/", image_repository(c));
        request_begin(c, "POST", path, strlen(path));
        request_body(c, NULL, "", 0, false);
        break;
    case STEP_PATCH:
        request_begin(c, "PATCH", c->place, strlen(c->place));
        request_body(c, "application/octet-stream", b->bytes.at, b->bytes.len, true);
        break;
    case STEP_PUT:
        snprintf(path, sizeof(path), "%s%cdigest=sha256:%s", c->place,
                 strchr(c->place, '?') == NULL ? '?' : '&', b->hex);
        request_begin(c, "PUT", path, strlen(path));
        request_body(c, "application/octet-stream", "", 0, false);
        break;
    }
}

/* The path of the upload. */
void
place_take(struct client *c, const struct reply *reply)
{
    const char *at = reply->location, *end = at + reply->location_len;

    if (at == NULL)
        fail("a reply without a Location");
    if (strncmp(at, "http", 4) == 0) {
        at = (char *)memmem(at, (size_t)(end - at), "://", 3) + 3;
        at = memchr(at, '/', (size_t)(end - at));
    }
    free(c->place);
    c->place = strndup(at, (size_t)(end - at));
}

bool
image_begin(struct client *c)
{
    image_make(c);
    c->blob = 0;
    c->step = STEP_HEAD;
    image_ask(c);
    return true;
}

bool
image_got(struct client *c, const struct reply *reply)
{
    static const int wanted[] = {404, 202, 202, 201};

    if (c->blob > opt.layers) {
        reply_expect(c, reply, 201);
        if (++c->step < opt.tags) {
            image_ask(c);
            return true;
        }
        if (opt.digests != NULL)
            fprintf(opt.digests, "/v2/%s/manifests/sha256:%s\n", image_repository(c),
                    c->blobs[c->blob].hex);
        return false;
    }
    reply_expect(c, reply, opt.again ? 200 : wanted[c->step]);
    if (c->step == STEP_POST || c->step == STEP_PATCH)
        place_take(c, reply);
    if (opt.again || c->step == STEP_PUT) {
        c->blob++;
        c->step = STEP_HEAD;
    } else
        c->step++;
    image_ask(c);
    return true;
}
