/* Repositories, tags, digests and uploads in paths; names of media types. */
#include <regex.h>
#include "domain/core/media_type.h"
#include "domain/name.h"
#include "fuzz.h"
#include "util/digest.h"

/* The grammars as they are written in the OCI distribution-spec 1.1. */
#define COMPONENT "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
#define REPOSITORY "^" COMPONENT "(/" COMPONENT ")*$"
#define TAG "^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$"

static bool
matches(const char *pattern, regex_t *compiled, bool *is_compiled, const char *text)
{
    if (!*is_compiled)
        MUST(regcomp(compiled, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    *is_compiled = true;
    return regexec(compiled, text, 0, NULL, 0) == 0;
}

static void
check_digests(const char *text, size_t n)
{
    char written[DIGEST_TEXT_MAX];
    struct digest d;
    struct err err = {0};
    if (digest_parse(&d, text, n, &err) == 0) {
        digest_text(written, &d);
        MUST(strlen(written) == n && memcmp(written, text, n) == 0);
    } else {
        MUST(err.code == ERR_BAD_DIGEST);
    }
    if (digest_parse_v1_id(&d, text, n, &err) == 0) {
        digest_text(written, &d);
        MUST(n == 64 && memcmp(written, text, n) == 0);
    } else {
        MUST(err.code == ERR_BAD_DIGEST);
    }
}

static void
check_media_types(const char *text)
{
    bool valid = media_type_is_valid(text);
    MUST(!valid || (strchr(text, '/') != NULL && strlen(text) <= 255));
    MUST(media_type_find(text) == NULL || (valid && !media_type_is_schema1(text)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static regex_t repository, tag;
    static bool has_repository, has_tag;
    if (n > 400)
        return 0;
    char *text = fuzz_text(data, n);
    check_digests(text, n);
    check_media_types(text);
    /* The library's expressions know bytes above 127 as letters of some language. */
    if (strlen(text) <= 255)
        MUST(name_is_repository(text) == matches(REPOSITORY, &repository, &has_repository, text));
    else
        MUST(!name_is_repository(text));
    MUST(name_is_tag(text) == matches(TAG, &tag, &has_tag, text));
    free(text);
    return 0;
}
