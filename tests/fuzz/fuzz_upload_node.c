/* X-Registry-Pass: a line each for method, path, query, user and address, then the header. */
#include "fuzz.h"
#include "domain/core/upload_node.h"
#include "storage/kv/kv_nodes.h"

#define ID "00070123456789abcdef0123456789abcdef"
#define NOW_MS 1000000

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct kv_node_self self = {.number = 7, .key = "a key that nobody can guess"};
    const struct registry reg = {.node = &self};
    char *lines[5], *header, text[UPLOAD_NODE_TEXT_MAX];
    char user[RECORD_ACTOR_MAX + 1], address[UPLOAD_NODE_CLIENT_MAX];

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        lines[i] = fuzz_line(&data, &n);
    header = fuzz_text(data, n);

    struct upload_node_request r = {lines[0], lines[1], lines[2], lines[3], lines[4]};
    struct upload_node_request other = {lines[0], header, lines[2], lines[3], lines[4]};
    MUST(!upload_node_verify(&reg, header, &r, NOW_MS, user, address));
    if (upload_node_sign(&reg, ID, &r, NOW_MS, text)) {
        MUST(strlen(text) < sizeof text && strpbrk(text, " \r\n,;\"") == NULL);
        MUST(upload_node_verify(&reg, text, &r, NOW_MS + 60000, user, address));
        MUST(strcmp(user, lines[3]) == 0 && strcmp(address, lines[4]) == 0);
        MUST(!upload_node_verify(&reg, text, &r, NOW_MS + 60001, user, address));
        MUST(strcmp(header, lines[1]) == 0 ||
             !upload_node_verify(&reg, text, &other, NOW_MS, user, address));
        text[strlen(text) - 1] ^= 1;
        MUST(!upload_node_verify(&reg, text, &r, NOW_MS, user, address));
    } else {
        MUST(strlen(lines[3]) > RECORD_ACTOR_MAX || strlen(lines[4]) >= UPLOAD_NODE_CLIENT_MAX ||
             strlen(lines[0]) + strlen(lines[1]) + strlen(lines[2]) > 60000);
    }
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        free(lines[i]);
    free(header);
    return 0;
}
