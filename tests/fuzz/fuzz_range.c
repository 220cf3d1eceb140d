/* A line with a size, and a Range or Content-Range. */
#include <errno.h>
#include <regex.h>
#include <strings.h>
#include "fuzz.h"
#include "protocol/http/range.h"
#include "util/parse.h"

static void
judge(const char *text, uint64_t size)
{
    enum range_kind kind = range_judge(text, size);
    MUST(kind == RANGE_GOOD || kind == RANGE_UNSATISFIABLE || kind == RANGE_BACKWARDS ||
         kind == RANGE_SEVERAL || kind == RANGE_IGNORED);
    if (kind != RANGE_IGNORED) {
        MUST(strncasecmp(text, "bytes=", 6) == 0);
        MUST(strspn(text + 6, "0123456789-, ") == strlen(text + 6));
        MUST(strchr(text, '-') != NULL);
        MUST(strchr(text, ',') != NULL || strchr(text, '-') == strrchr(text, '-'));
    }
    MUST((kind != RANGE_GOOD && kind != RANGE_SEVERAL) || size > 0);
    MUST(kind != RANGE_SEVERAL || strchr(text, ',') != NULL);
}

/* The number at a place of the text; false when it is too large for us. */
static bool
number_at(const char *text, const regmatch_t *at, unsigned long long *number)
{
    errno = 0;
    *number = strtoull(text + at->rm_so, NULL, 10);
    return errno == 0;
}

/* The forms that range.h names, by other means. */
static bool
is_content_range(const char *text)
{
    static regex_t form;
    static bool has_form;
    unsigned long long first, last, total;
    regmatch_t at[6];
    if (!has_form)
        MUST(regcomp(&form, "^(bytes[ =])?([0-9]+)-([0-9]+)(/(\\*|[0-9]+))?$",
                     REG_EXTENDED | REG_ICASE) == 0);
    has_form = true;
    if (regexec(&form, text, 6, at, 0) != 0 || !number_at(text, &at[2], &first) ||
        !number_at(text, &at[3], &last) || first > last)
        return false;
    if (at[5].rm_so < 0 || text[at[5].rm_so] == '*')
        return true;
    return number_at(text, &at[5], &total) && total > last;
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
    bool good = range_parse_content(text, &first, &last);
    MUST(good == is_content_range(text));
    if (good) {
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
