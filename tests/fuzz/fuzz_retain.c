/* A line with the name of a repository, and a file of rules of retention: the rule that is found is
 * held against a reading of the text that goes from line to line. */
#include "domain/retention/retain_rules.h"
#include "fuzz.h"
#include "storage/tables/record.h"
#include "util/glob.h"

#define NAME "auth/retain"

/* The number of the first line whose pattern matches; 0: none does; -1: it can't be told, since
 * util/glob takes no such pattern. */
static long
find_plainly(const char *rules, const char *repository)
{
    static struct glob g;
    char *copy = fuzz_text(rules, strlen(rules)), *line = copy;
    long found = 0, number = 1;
    struct err err;

    for (; line != NULL && found == 0; number++) {
        char *end = strchr(line, '\n');
        char *pattern = line + strspn(line, " \t\r");

        if (end != NULL)
            *end++ = '\0';
        pattern[strcspn(pattern, " \t\r")] = '\0';
        if (*pattern != '\0' && *pattern != '#')
            found = glob_compile(&g, bytes_str(pattern), &err) != 0 ? -1
                    : glob_match(&g, bytes_str(repository))         ? number
                                                                    : 0;
        line = end;
    }
    free(copy);
    return found;
}

static void
check_rule(const struct retain_rules *r, const struct retain_rule *rule)
{
    static struct glob g;
    struct err err;

    MUST(rule->last <= RETAIN_RULES_LAST_MAX);
    MUST(rule->globs_n <= RETAIN_RULES_GLOBS_MAX);
    MUST(rule->all !=
         (rule->last > 0 || rule->younger_ms > 0 || rule->pulled_ms > 0 || rule->globs_n > 0));
    for (size_t i = 0; i < rule->globs_n; i++) {
        const char *text = retain_rules_glob(r, rule, i);

        MUST(*text != '\0' && strpbrk(text, "/, \t\n") == NULL);
        MUST(glob_compile(&g, bytes_str(text), &err) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *repository = fuzz_line(&data, &n), *text = fuzz_text(data, n);
    const struct retain_rule *rule;
    struct retain_rules rules;
    struct err err;
    long line;

    if (retain_rules_parse(&rules, bytes_of(text, n), NAME, &err) != 0) {
        MUST(strncmp(err.message, NAME, strlen(NAME)) == 0);
        MUST(err.code == ERR_TOO_LARGE || err.code == ERR_BAD_REQUEST);
    } else {
        MUST(rules.n <= RETAIN_RULES_MAX);
        for (size_t i = 0; i < rules.n; i++) {
            MUST(i == 0 || rules.v[i].line > rules.v[i - 1].line);
            check_rule(&rules, &rules.v[i]);
        }
        rule = retain_rules_find(&rules, repository);
        line = find_plainly(text, repository);
        if (line >= 0 && strlen(repository) <= RECORD_REPOSITORY_MAX && strlen(text) == n)
            MUST((rule != NULL ? (long)rule->line : 0) == line);
    }
    retain_rules_free(&rules);
    free(repository);
    free(text);
    return 0;
}
