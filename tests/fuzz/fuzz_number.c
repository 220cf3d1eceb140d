/* Numbers, times and sizes, as headers, queries and options have them. */
#include <errno.h>
#include "fuzz.h"
#include "util/parse.h"

static bool
library_reads(const char *text, unsigned long long *out)
{
    size_t digits = strspn(text, "0123456789");
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return digits > 0 && text[digits] == '\0' && errno == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint64_t number, ms, size;
    unsigned long long same;
    char *text = fuzz_text(data, n);
    size_t length = strlen(text);
    bool good = parse_u64(text, length, &number);
    MUST(good == library_reads(text, &same) && (!good || number == same));
    if (parse_duration_ms(text, &ms))
        MUST(ms % 1000 == 0 && (!good || ms / 1000 == number));
    if (parse_size(text, &size))
        MUST(good ? size == number : size % 1024 == 0);
    MUST(!parse_u64(text, 0, &number));
    free(text);
    return 0;
}
