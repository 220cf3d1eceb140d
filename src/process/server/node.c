#include "process/server/node.h"
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "util/buf.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/random.h"

#define ID_FILE "db/node-id"
#define ID_BYTES 16

static void
make_random_id(char out[KV_NODE_ID_MAX])
{
    uint8_t secret[ID_BYTES];

    random_bytes(secret, sizeof secret);
    hex_encode(out, secret, sizeof secret);
}

int
node_read_id(int dirfd, char id[KV_NODE_ID_MAX], struct err *err)
{
    uint8_t secret[ID_BYTES];
    struct buf text;
    int rc;

    buf_init(&text, 256);
    rc = fdio_read_file(dirfd, ID_FILE, &text, err);
    if (rc == 1 && (text.n != 2 * ID_BYTES + 1 || text.p[2 * ID_BYTES] != '\n' ||
                    !hex_decode(secret, sizeof secret, (const char *)text.p, 2 * ID_BYTES)))
        rc = err_set(err, ERR_CORRUPT,
                     ID_FILE " can't be read: remove it, and this server is a "
                             "new node");
    snprintf(id, KV_NODE_ID_MAX, "%.*s", rc == 1 ? 2 * ID_BYTES : 0, (const char *)text.p);
    buf_free(&text);
    return rc < 0 ? -1 : 0;
}

static int
read_or_make_id(int dirfd, char id[KV_NODE_ID_MAX], struct err *err)
{
    char text[KV_NODE_ID_MAX + 1];

    if (node_read_id(dirfd, id, err) != 0)
        return -1;
    if (id[0] != '\0')
        return 0;
    make_random_id(id);
    snprintf(text, sizeof text, "%s\n", id);
    return fdio_replace_file(dirfd, ID_FILE, 0400, bytes_str(text), err);
}

int
node_begin(struct server *s, struct err *err)
{
    struct kv_node *self = &s->node;

    if (s->options->database == NULL)
        return 0;
    if (gethostname(self->host, sizeof self->host - 1) != 0)
        return err_errno(err, "cannot find the name of this host");
    for (char *p = self->host; *p != '\0'; p++)
        *p = *p > ' ' && *p <= '~' ? *p : '?'; /* it is shown everywhere */
    snprintf(self->version, sizeof self->version, "%s", PACKAGE_VERSION);
    make_random_id(self->run);
    return read_or_make_id(s->dir.fd, self->id, err);
}

int
node_resolve(const struct options *o, char address[KV_NODE_ADDRESS_MAX], struct err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char host[256], numeric[48];
    const char *colon;
    struct addrinfo *found;
    int rc;

    address[0] = '\0';
    if (o->node_address == NULL)
        return 0;
    colon = strrchr(o->node_address, ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon - o->node_address), o->node_address);
    if (host[0] == '[' && host[strlen(host) - 1] == ']') {
        host[strlen(host) - 1] = '\0';
        memmove(host, host + 1, strlen(host));
    }
    rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc == 0) {
        rc = getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof numeric, NULL, 0,
                         NI_NUMERICHOST);
        freeaddrinfo(found);
    }
    if (rc != 0)
        return err_set(err, ERR_UNSUPPORTED, "--node-address %.100s: %s", o->node_address,
                       gai_strerror(rc));
    snprintf(address, KV_NODE_ADDRESS_MAX, strchr(numeric, ':') != NULL ? "[%s]:%s" : "%s:%s",
             numeric, colon + 1);
    return 0;
}

void
node_numbers(const struct kv_node *node, const char *own, struct metrics_node *out)
{
    *out = (struct metrics_node){.number = node->number,
                                 .seen_ms = clock_wall_ms() - node->age_ms,
                                 .skew_ms = node->skew_ms,
                                 .is_stopped = node->is_stopped,
                                 .leads = node->leads,
                                 .is_self = strcmp(node->id, own) == 0};
    snprintf(out->host, sizeof out->host, "%s", node->host);
    snprintf(out->version, sizeof out->version, "%s", node->version);
}
