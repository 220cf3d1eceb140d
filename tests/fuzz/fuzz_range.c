/* A line with a size, and a Range or Content-Range. */
#include <strings.h>
#include "fuzz.h"
#include "protocol/range.h"
#include "util/parse.h"
#include "util/banned.h"

static void
judge(const char *text, uint64_t size)
{
    enum range_kind kind = range_judge(text, size);
    MUST(kind == RANGE_GOOD || kind == RANGE_UNSATISFIABLE || kind == RANGE_IGNORED);
    if (kind != RANGE_IGNORED) {
        MUST(strncasecmp(text, "bytes=", 6) == 0);
        MUST(strspn(text + 6, "0123456789-") == strlen(text + 6));
        MUST(strchr(text, '-') != NULL && strchr(text, '-') == strrchr(text, '-'));
    }
    MUST(kind != RANGE_GOOD || size > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint64_t size, first, last;
    char *number = fuzz_line(&data, &n);
    char *text = fuzz_text(data, n);
    if (!parse_u64(number, strlen(number), &size))
        size = 1000;
    judge(text, size);
    judge(text, 0);
    judge(text, UINT64_MAX);
    if (range_parse_content(text, &first, &last)) {
        char written[64];
        MUST(first <= last);
        snprintf(written, sizeof written, "bytes %llu-%llu/*", (unsigned long long)first,
                 (unsigned long long)last);
        MUST(range_parse_content(written, &first, &last));
    }
    free(number);
    free(text);
    return 0;
}
