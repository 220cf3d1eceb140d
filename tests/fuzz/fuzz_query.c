/* What is behind the ?. */
#include "fuzz.h"
#include "protocol/http/query.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct err err = {0};
    struct query q;
    char *raw = fuzz_text(data, n);
    size_t length = strlen(raw);
    arena_init(&arena, 1u << 20);
    if (query_parse(&q, raw, &arena, &err) == 0) {
        size_t sum = 0;
        MUST(q.n <= QUERY_PARAMETERS_MAX);
        for (size_t i = 0; i < q.n; i++) {
            MUST(query_get(&q, q.parameters[i].name) != NULL);
            sum += strlen(q.parameters[i].name) + strlen(q.parameters[i].value);
        }
        MUST(sum <= length);
        MUST(q.n == 0 || query_get(&q, q.parameters[0].name) == q.parameters[0].value);
    } else {
        MUST(err.code == ERR_BAD_REQUEST || err.code == ERR_TOO_LONG || err.code == ERR_SYSTEM);
        MUST(err.message[0] != '\0');
    }
    arena_reset(&arena);
    free(raw);
    return 0;
}
