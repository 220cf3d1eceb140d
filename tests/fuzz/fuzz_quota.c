/* A line with the name of a repository, and the value of --quota: what it matches is held against
 * util/glob, and what is refused because no name can match it, against this name. */
#include "domain/core/quota.h"
#include "domain/access/access_name.h"
#include "domain/name.h"
#include "domain/name_pattern.h"
#include "fuzz.h"
#include "util/glob.h"

static bool
glob_matches(struct bytes pattern, const char *text)
{
    static struct glob g;
    struct err err;

    return glob_compile(&g, pattern, &err) == 0 && glob_match(&g, bytes_str(text));
}

/* A text that matches, and is a name, shows that the pattern fits. */
static void
check_fits(struct bytes pattern, const char *name)
{
    bool matches = glob_matches(pattern, name);

    MUST(!matches || !name_is_repository(name) || name_pattern_fits_repository(pattern));
    MUST(!matches || !name_is_tag(name) || name_pattern_fits_tag(pattern));
}

static void
check_quota(const char *text, const char *pattern, uint64_t limit, const char *name)
{
    size_t n = strcspn(text, " \t");
    struct access_pattern compiled;
    struct access_name prepared;
    struct err err;

    MUST(limit > 0 && strlen(pattern) == n && strncmp(text, pattern, n) == 0);
    MUST(name_pattern_fits_repository(bytes_str(pattern)));
    MUST(access_pattern_compile(&compiled, bytes_str(pattern), &err) == 0 && !compiled.has_user);
    if (name_is_repository(name) && access_name_set(&prepared, name))
        MUST(access_pattern_match(compiled.v, compiled.n, &prepared, bytes_str("")) ==
             glob_matches(bytes_str(pattern), name));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *name = fuzz_line(&data, &n), *text = fuzz_text(data, n);
    char pattern[RECORD_REPOSITORY_MAX + 1];
    uint64_t limit = 0;
    struct err err;

    check_fits(bytes_of(text, strcspn(text, " \t")), name);
    if (quota_parse(text, pattern, &limit, &err) == 0)
        check_quota(text, pattern, limit, name);
    else
        MUST(err.code == ERR_BAD_REQUEST && err.message[0] != '\0');
    free(name);
    free(text);
    return 0;
}
