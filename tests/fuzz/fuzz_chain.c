/* A byte for the number of layers, and an image's config. */
#include "domain/core/chain_id.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct digest *chain = NULL;
    struct arena arena;
    struct err err = {0};
    if (n == 0)
        return 0;
    size_t layers = (size_t)(data[0] - '0') & 0xff;
    arena_init(&arena, 8u << 20);
    int rc = chain_id_parse(bytes_of(data + 1, n - 1), layers, &arena, &chain, &err);
    MUST(rc == 0 || rc == 1);
    if (rc == 1) {
        MUST(chain != NULL);
        for (size_t i = 0; i < layers; i++)
            MUST(chain[i].algo == DIGEST_SHA256);
        /* As many as it was asked for, no less and no more. */
        MUST(chain_id_parse(bytes_of(data + 1, n - 1), layers + 1, &arena, &chain, &err) == 0);
    }
    arena_reset(&arena);
    return 0;
}
