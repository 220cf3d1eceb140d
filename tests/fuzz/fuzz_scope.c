/* A scope in a request for a token. */
#include "fuzz.h"
#include "domain/access/bearer_grants.h"
#include "domain/name.h"
#include "protocol/http/scope.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = fuzz_text(data, n), *name;
    struct scope s, again;
    struct buf out;

    if (scope_parse(&s, bytes_of(text, n))) {
        MUST(s.lists == (s.repository.n == 0));
        MUST(s.actions <= BEARER_ACTIONS);
        if (!s.lists) {
            name = fuzz_text(s.repository.p, s.repository.n);
            MUST((const char *)s.repository.p > text && name_is_repository(name));
            buf_init(&out, 1000);
            scope_put(&out, s.repository, s.actions);
            MUST(buf_ok(&out) && scope_parse(&again, buf_bytes(&out)));
            MUST(bytes_equal(again.repository, s.repository) && again.actions == s.actions);
            buf_free(&out);
            free(name);
        }
    }
    free(text);
    return 0;
}
