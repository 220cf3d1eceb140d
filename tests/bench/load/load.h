/* The parts of the client share these. Each of them ends the program at an error. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { LAYERS_MAX = 32, HEX = 64 };

struct text {
    char *at;
    size_t len, cap;
};

struct blob {
    struct text bytes;
    char hex[HEX + 1];
};

struct client {
    int fd, number;
    SSL *tls;
    struct text out, in;
    size_t sent;
    bool busy, head, wants_write;
    double begun;
    long unit, made;
    int blob, step;
    char *place;
    struct blob blobs[LAYERS_MAX + 2]; /* layers, config, manifest */
};

struct reply {
    int status;
    bool closes;
    const char *body, *location;
    size_t body_len, location_len, used;
};

/* A kind of load: begin makes the first request of a unit, or returns false when there
 * are no more; got makes the next request, or returns false at the end of the unit. */
struct kind {
    const char *name;
    bool (*begin)(struct client *c);
    bool (*got)(struct client *c, const struct reply *reply);
};

/* The command line. */
struct options {
    const char *method, *path, *host, *repository;
    FILE *digests;
    char **path_list;
    char *headers;
    struct text body, wanted, paths;
    int port, status, connections, layers, layer_size, tags;
    long count;
    double seconds;
    uint64_t seed;
    bool tls, has_wanted, again;
};
extern struct options opt;

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds of the monotonic clock. */
double now(void);

/* ---- text.c ---- */

/* Room for n more bytes. */
void text_room(struct text *t, size_t n);

/* A NUL follows what is added. */
void text_add(struct text *t, const void *bytes, size_t n);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_from_file(struct text *t, const char *name);

/* HEX digits and a NUL. */
void sha256_hex(char *hex, const void *bytes, size_t n);

/* ---- connection.c ---- */

/* Before the first connection. Returns the descriptor of epoll; its events have the client. */
int connections_prepare(void);

void client_connect(struct client *c);
void client_close(struct client *c);

/* Bytes written or read, 0 for later, -1 for the end. */
long client_io(struct client *c, bool writes, char *at, size_t n);

/* As much of the request as the other side takes now. */
void client_write(struct client *c);

/* ---- http.c ---- */

/* The lines that all requests have; then request_body, or an empty line. */
void request_begin(struct client *c, const char *method, const char *path, size_t path_len);
void request_body(struct client *c, const char *type, const void *bytes, size_t n, bool chunked);

/* The whole reply at the beginning of what came; false: more is to come. */
bool reply_read(struct client *c, struct reply *reply);

void reply_expect(const struct client *c, const struct reply *reply, int status);

/* ---- the kinds of load ---- */

bool requests_begin(struct client *c);
bool requests_got(struct client *c, const struct reply *reply);

enum { STEP_HEAD, STEP_POST, STEP_PATCH, STEP_PUT };

/* A tar of one file that depends on the seed. */
void layer_make(struct blob *b, uint64_t seed, int layer);

/* The request of the client's blob and step. */
void image_ask(struct client *c);

/* The path of the upload, out of the reply. */
void place_take(struct client *c, const struct reply *reply);

bool image_begin(struct client *c);
bool image_got(struct client *c, const struct reply *reply);

extern int slow_ready; /* uploads that are under way */
bool slow_begin(struct client *c);
bool slow_got(struct client *c, const struct reply *reply);

/* One more KiB for each of them; the last one. */
void slow_feed(struct client *all, bool ends);

/* ---- delay.c ---- */

/* Listens at the Unix socket path, and connects each client with target. Seconds. */
_Noreturn void delay_serve(const char *path, const char *target, double delay);

#endif
