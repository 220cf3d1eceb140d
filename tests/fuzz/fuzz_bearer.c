/* The text after "Authorization: Bearer ", or a refresh token in a form. Without its first byte,
 * the input is also taken for the bytes that such a text encodes, so that they are reached soon. */
#include "fuzz.h"
#include "domain/access/bearer.h"

static void
check_bearer(struct bytes text)
{
    struct bearer *b = malloc(sizeof *b);
    uint8_t *end;

    MUST(b != NULL);
    memset(b, 0xa5, sizeof *b);
    if (bearer_parse(b, text)) {
        end = b->bytes + b->head.n;
        MUST(b->head.p == b->bytes && b->mac.p == end && b->mac.n == BEARER_MAC_BYTES);
        MUST(b->head.n + b->mac.n <= sizeof b->bytes);
        MUST(memchr(b->user, '\0', sizeof b->user) != NULL);
        MUST(b->kind == BEARER_ACCESS || b->kind == BEARER_REFRESH);
        MUST(b->kind == BEARER_ACCESS ||
             (b->grants.n == 0 && !b->grants.lists && *b->user != '\0'));
        MUST(b->grants.n <= BEARER_GRANTS_MAX && b->grants.bytes <= BEARER_GRANTS_BYTES);
        for (size_t i = 0; i < b->grants.n; i++) {
            const struct bearer_grant *g = &b->grants.v[i];
            const uint8_t *name = g->repository.p;

            MUST(g->actions > 0 && g->actions <= BEARER_ACTIONS);
            MUST(g->repository.n > 0 && g->repository.n <= RECORD_REPOSITORY_MAX);
            MUST(name > b->bytes && name + g->repository.n <= end);
            MUST(bearer_grants_hold(&b->grants, g->repository, g->actions));
        }
    }
    free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = fuzz_text(data, n);

    check_bearer(bytes_of(text, n));
    free(text);
    if (n > 0 && n <= BEARER_BYTES_MAX) {
        char *encoded = malloc(BASE64_TEXT(n - 1));
        uint8_t *decoded = malloc(n);
        size_t decoded_n;

        MUST(encoded != NULL && decoded != NULL);
        base64_encode_url(encoded, bytes_of(data + 1, n - 1));
        MUST(base64_decode_url(decoded, &decoded_n, bytes_str(encoded)));
        MUST(decoded_n == n - 1 && memcmp(decoded, data + 1, n - 1) == 0);
        check_bearer(bytes_str(encoded));
        free(encoded);
        free(decoded);
    }
    return 0;
}
