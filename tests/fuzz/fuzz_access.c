/* A user, a repository, and the files of groups, users and rules: what the compiled table decides
 * is held against a reading of the texts that goes from line to line. Lines with % separate the
 * files. */
#include "domain/access/access_table.h"
#include "domain/access/htpasswd.h"
#include "fuzz.h"
#include "util/glob.h"

#define EXPANDED_MAX 10000

struct texts {
    char *user, *repository, *groups, *users, *rules;
};

/* ---- the plain reading ---- */

/* Cuts a line off *rest, and words off a line. NULL: there are no more. */
static char *
next_plain(char **rest, const char *ends, bool empty_ones)
{
    char *begin = *rest;

    if (begin == NULL || *(begin += empty_ones ? 0 : strspn(begin, ends)) == '\0')
        return NULL;
    *rest = begin + strcspn(begin, ends);
    if (**rest != '\0')
        *(*rest)++ = '\0';
    return begin;
}

static bool
is_plain_member(const char *groups, const char *group, const char *user)
{
    char *copy = fuzz_text(groups, strlen(groups)), *rest = copy, *line, *word;
    bool found = false;

    while ((line = next_plain(&rest, "\n", true)) != NULL) {
        char *colon;

        line += strspn(line, " \t\r");
        colon = strchr(line, ':');
        if (*line == '#' || colon == NULL)
            continue;
        *colon++ = '\0';
        line[strcspn(line, " \t\r")] = '\0'; /* blanks in front of the colon */
        if (strcmp(line, group) == 0)
            while ((word = next_plain(&colon, " \t\r", false)) != NULL)
                found |= strcmp(word, user) == 0;
    }
    free(copy);
    return found;
}

/* The pattern with the user's name for {user}. False: the name can't be a part of a repository's.
 */
static bool
expand_plainly(const char *pattern, const char *user, char out[EXPANDED_MAX])
{
    bool good =
        *user != '\0' && user[strspn(user, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
    size_t n = 0;

    while (*pattern != '\0')
        if (strncmp(pattern, "{user}", 6) == 0) {
            if (!good || n + strlen(user) >= EXPANDED_MAX)
                return false;
            memcpy(out + n, user, strlen(user));
            n += strlen(user);
            pattern += 6;
        } else {
            out[n++] = *pattern++;
        }
    out[n] = '\0';
    return true;
}

/* -1: the pattern is too long for util/glob. */
static int
matches_plainly(const char *pattern, const struct texts *t)
{
    static struct glob g;
    char expanded[EXPANDED_MAX];
    struct err err;

    if (!expand_plainly(pattern, t->user, expanded))
        return 0;
    if (glob_compile(&g, bytes_str(expanded), &err) != 0)
        return -1;
    return glob_match(&g, bytes_str(t->repository));
}

static bool
is_for(const char *who, const struct texts *t)
{
    if (*t->user == '\0')
        return false;
    if (*who == '@')
        return is_plain_member(t->groups, who + 1, t->user);
    return strcmp(who, "*") == 0 || strcmp(who, "{user}") == 0 || strcmp(who, t->user) == 0;
}

static unsigned
rights_plainly(char *verbs)
{
    unsigned rights = 0;
    const char *verb;

    while ((verb = next_plain(&verbs, ",", false)) != NULL)
        rights |= strcmp(verb, "pull") == 0        ? RIGHT_PULL
                  : strcmp(verb, "push") == 0      ? RIGHT_CREATE | RIGHT_OVERWRITE
                  : strcmp(verb, "create") == 0    ? RIGHT_CREATE
                  : strcmp(verb, "overwrite") == 0 ? RIGHT_OVERWRITE
                  : strcmp(verb, "delete") == 0    ? RIGHT_DELETE
                  : strcmp(verb, "admin") == 0     ? RIGHT_ADMIN
                  : strcmp(verb, "all") == 0       ? RIGHT_ALL
                                                   : 0;
    return rights;
}

/* False: it can't be told. */
static bool
decide_plainly(const struct texts *t, struct access_decision *d, unsigned *anywhere)
{
    char *copy = fuzz_text(t->rules, strlen(t->rules)), *rest = copy, *line;
    bool known = true;

    *d = (struct access_decision){0};
    *anywhere = 0;
    for (unsigned number = 1; (line = next_plain(&rest, "\n", true)) != NULL; number++) {
        char *pattern = next_plain(&line, " \t\r", false), *who, *verbs;
        unsigned *first, rights;
        int matches;

        if (pattern == NULL || *pattern == '#')
            continue;
        who = next_plain(&line, " \t\r", false);
        verbs = next_plain(&line, " \t\r", false);
        MUST(who != NULL && verbs != NULL);
        first = strcmp(who, "anonymous") == 0 ? &d->anonymous_line : &d->line;
        if (first == &d->line && !is_for(who, t))
            continue;
        rights = rights_plainly(verbs);
        *anywhere |= rights;
        if (*first != 0)
            continue;
        matches = matches_plainly(pattern, t);
        known = known && matches >= 0;
        if (matches > 0) {
            *first = number;
            d->rights |= rights;
        }
    }
    free(copy);
    return known;
}

/* ---- the compiled table ---- */

static void
check_decision(const struct access_table *table, const struct texts *t)
{
    struct access_decision plain, d;
    unsigned anywhere, together = 0;
    struct access_line *lines;
    size_t n;

    access_table_decide(table, t->user, t->repository, &d);
    MUST((d.rights & ~access_table_anywhere(table, t->user)) == 0);
    if (strlen(t->repository) <= RECORD_REPOSITORY_MAX && decide_plainly(t, &plain, &anywhere)) {
        MUST(d.rights == plain.rights);
        MUST(d.line == plain.line);
        MUST(d.anonymous_line == plain.anonymous_line);
        MUST(access_table_anywhere(table, t->user) == anywhere);
    }
    lines = access_table_lines(table, t->user, &n);
    for (size_t i = 0; i < n; i++) {
        MUST(i == 0 || lines[i].line > lines[i - 1].line);
        together |= lines[i].rights;
    }
    MUST(together == access_table_anywhere(table, t->user));
    free(lines);
}

static void
check_user(const struct access_table *table, const struct texts *t)
{
    struct bytes line = htpasswd_find(bytes_str(t->users), bytes_str(t->user));
    uint8_t stamp[ACCESS_STAMP_BYTES];
    uint64_t expiry;

    MUST(access_table_user(table, bytes_str(t->user), stamp, &expiry) == (line.p != NULL));
}

static void
check_damage(const struct buf *compiled)
{
    struct access_table table;
    struct err err;
    size_t at = compiled->n * 7 / 11;
    char *copy = fuzz_text(compiled->p, compiled->n);

    copy[at] = (char)(copy[at] ^ 16);
    MUST(access_table_open(&table, bytes_of(copy, compiled->n), &err) == -1);
    MUST(access_table_open(&table, bytes_of(compiled->p, at), &err) == -1);
    free(copy);
}

static void
check_texts(const struct texts *t)
{
    struct access_sources s = {.has_rules = true,
                               .rules = bytes_str(t->rules),
                               .groups = bytes_str(t->groups),
                               .users = bytes_str(t->users),
                               .rules_name = "auth/access"};
    struct access_table table;
    struct buf out;
    struct err err;

    buf_init(&out, ACCESS_TABLE_MAX);
    if (access_table_compile(&s, &out, &err) != 0) {
        MUST(strncmp(err.message, "auth/", 5) == 0);
    } else {
        MUST(access_table_open(&table, buf_bytes(&out), &err) == 0);
        MUST(access_table_has_rules(&table));
        check_decision(&table, t);
        check_user(&table, t);
        check_damage(&out);
    }
    buf_free(&out);
}

/* Takes the lines up to one with % alone. */
static char *
take_file(const uint8_t **data, size_t *n)
{
    const uint8_t *begin = *data;
    size_t length = 0;

    while (*n > 0) {
        char *line = fuzz_line(data, n);
        bool end = strcmp(line, "%") == 0 || strcmp(line, "%\n") == 0;

        free(line);
        if (end)
            break;
        length = (size_t)(*data - begin);
    }
    return fuzz_text(begin, length);
}

static char *
take_word(const uint8_t **data, size_t *n)
{
    char *line = fuzz_line(data, n);

    line[strcspn(line, "\n")] = '\0';
    return line;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct access_table table;
    struct err err;
    struct texts t;

    MUST(access_table_open(&table, bytes_of(data, n), &err) == -1 || n > 80);
    t.user = take_word(&data, &n);
    t.repository = take_word(&data, &n);
    t.groups = take_file(&data, &n);
    t.users = take_file(&data, &n);
    t.rules = fuzz_text(data, n);
    check_texts(&t);
    free(t.user);
    free(t.repository);
    free(t.groups);
    free(t.users);
    free(t.rules);
    return 0;
}
