#include "domain/core/upload_node.h"
#include <string.h>
#include "storage/files/upload_dir.h"
#include "storage/kv/kv_nodes.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/hex.h"
#include "util/parse.h"

/* Hex digits of the number in an id. */
#define NUMBER_DIGITS 4
#define NUMBER_MAX 0xffffu
/* The clocks of two nodes differ from the database's by half of this, at most. */
#define VALID_MS 60000
/* Stands in front of what is signed: the key signs nothing else. */
#define PURPOSE "docker-registry-server upload 1"

_Static_assert(UPLOAD_NODE_ADDRESS_MAX == KV_NODE_ADDRESS_MAX, "addresses fit");

void
upload_node_mark(const struct registry *reg, char id[RECORD_UPLOAD_ID_MAX])
{
    char number[NUMBER_DIGITS + 1];

    if (reg->node == NULL)
        return;
    snprintf(number, sizeof number, "%04x", (unsigned)(reg->node->number & NUMBER_MAX));
    memcpy(id, number, NUMBER_DIGITS);
}

uint32_t
upload_node_of(const char *id)
{
    uint32_t number = 0;

    for (int i = 0; i < NUMBER_DIGITS; i++)
        number = number << 4 | ((uint32_t)hex_value(id[i]) & 15);
    return number;
}

bool
upload_node_is_other(const struct registry *reg, const char *id)
{
    struct err ignored;
    uint64_t size;

    if (reg->node == NULL || upload_node_of(id) == reg->node->number)
        return false;
    /* It was begun before the registry got its metadata into the database (domain/backup). */
    return upload_dir_size(reg->dirfd, id, &size, &ignored) != 0 || size == 0;
}

int
upload_node_find(const struct registry *reg, const char *id, char address[UPLOAD_NODE_ADDRESS_MAX],
                 struct err *err)
{
    struct kv_node node;
    int rc = kv_node_find(reg->kv, upload_node_of(id), &node, err);

    if (rc < 0)
        return -1;
    if (rc == 0 || !kv_node_is_alive(&node))
        return err_set(err, ERR_NO_UPLOAD,
                       "the server that has this upload doesn't run: begin a new one");
    if (node.address[0] == '\0')
        return err_set(err, ERR_NO_UPLOAD,
                       "the server that has this upload was started without --node-address: begin "
                       "a new one");
    memcpy(address, node.address, sizeof node.address);
    return 0;
}

/* ---- texts ----
 *
 *     <number of the node>.<milliseconds since 1970>.<user>.<address>.<signature>
 *
 * The last three are hex digits, so that each part ends at its point. */

/* Signs the first n bytes of a text, together with the request. */
static bool
sign_text(const struct registry *reg, const char *text, size_t n,
          const struct upload_node_request *r, uint8_t mac[DIGEST_HMAC_BYTES])
{
    struct buf message;
    bool good;

    buf_init(&message, 1u << 16);
    buf_puts(&message, PURPOSE "\n");
    buf_put(&message, text, n);
    buf_putf(&message, "\n%s\n%s\n%s", r->method, r->path, r->query);
    good =
        buf_ok(&message) && digest_hmac_sha256(mac, bytes_of(reg->node->key, sizeof reg->node->key),
                                               buf_bytes(&message));
    buf_free(&message);
    return good;
}

bool
upload_node_sign(const struct registry *reg, const char *id, const struct upload_node_request *r,
                 uint64_t now_ms, char text[UPLOAD_NODE_TEXT_MAX])
{
    char user[2 * RECORD_ACTOR_MAX + 1], address[2 * UPLOAD_NODE_CLIENT_MAX + 1];
    uint8_t mac[DIGEST_HMAC_BYTES];
    int n;

    if (reg->node->number == 0 || strlen(r->user) > RECORD_ACTOR_MAX ||
        strlen(r->address) >= UPLOAD_NODE_CLIENT_MAX)
        return false;
    hex_encode(user, r->user, strlen(r->user));
    hex_encode(address, r->address, strlen(r->address));
    n = snprintf(text, UPLOAD_NODE_TEXT_MAX, "%u.%llu.%s.%s", upload_node_of(id),
                 (unsigned long long)now_ms, user, address);
    if (n < 0 || (size_t)n + 2 + 2 * sizeof mac > UPLOAD_NODE_TEXT_MAX ||
        !sign_text(reg, text, (size_t)n, r, mac))
        return false;
    text[n] = '.';
    hex_encode(text + n + 1, mac, sizeof mac);
    return true;
}

/* Takes the part up to the next point, and the point. */
static bool
take_part(const char **at, const char **part, size_t *n)
{
    const char *end = strchr(*at, '.');

    if (end == NULL)
        return false;
    *part = *at;
    *n = (size_t)(end - *at);
    *at = end + 1;
    return true;
}

static bool
take_number_part(const char **at, uint64_t *out)
{
    const char *part;
    size_t n;

    return take_part(at, &part, &n) && parse_u64(part, n, out);
}

/* A part that is a text of less than `room` bytes. */
static bool
take_text_part(const char **at, char *out, size_t room)
{
    const char *part;
    size_t n;

    if (!take_part(at, &part, &n) || n % 2 != 0 || n / 2 >= room ||
        !hex_decode(out, n / 2, part, n))
        return false;
    out[n / 2] = '\0';
    return strlen(out) == n / 2;
}

bool
upload_node_verify(const struct registry *reg, const char *text,
                   const struct upload_node_request *r, uint64_t began_ms,
                   char user[RECORD_ACTOR_MAX + 1], char address[UPLOAD_NODE_CLIENT_MAX])
{
    uint8_t mac[DIGEST_HMAC_BYTES], told[DIGEST_HMAC_BYTES];
    const char *at = text;
    uint64_t number, at_ms, apart;

    if (reg->node == NULL || reg->node->number == 0 || !take_number_part(&at, &number) ||
        !take_number_part(&at, &at_ms) || !take_text_part(&at, user, RECORD_ACTOR_MAX + 1) ||
        !take_text_part(&at, address, UPLOAD_NODE_CLIENT_MAX) ||
        !hex_decode(told, sizeof told, at, strlen(at)) ||
        !sign_text(reg, text, (size_t)(at - text) - 1, r, mac) ||
        !digest_secret_equal(bytes_of(told, sizeof told), bytes_of(mac, sizeof mac)))
        return false;
    apart = at_ms < began_ms ? began_ms - at_ms : at_ms - began_ms;
    return number == reg->node->number && apart <= VALID_MS;
}
