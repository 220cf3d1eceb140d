#include "domain/access/access_rules.h"
#include "domain/access/access_format.h"
#include "domain/access/access_text.h"
#include "util/mem.h"

#define VERB_LIST "pull, push, create, overwrite, delete, admin, all, none"

/* The single ones come first, in the order of their texts. */
static const struct verb_word {
    const char *name;
    unsigned rights;
} verb_words[] = {
    {"pull", RIGHT_PULL},
    {"create", RIGHT_CREATE},
    {"overwrite", RIGHT_OVERWRITE},
    {"delete", RIGHT_DELETE},
    {"admin", RIGHT_ADMIN},
    {"push", RIGHT_PUSH},
    {"all", RIGHT_ALL},
    {"none", 0},
};

#define SINGLE_VERBS 5

bool
access_rules_verb(struct bytes word, unsigned *rights)
{
    for (size_t i = 0; i < sizeof verb_words / sizeof *verb_words; i++)
        if (bytes_equal(word, bytes_str(verb_words[i].name))) {
            *rights = verb_words[i].rights;
            return true;
        }
    return false;
}

void
access_rules_rights_text(char out[ACCESS_RIGHTS_TEXT_MAX], unsigned rights)
{
    size_t n = 0;

    snprintf(out, ACCESS_RIGHTS_TEXT_MAX, "none");
    for (size_t i = 0; i < SINGLE_VERBS; i++)
        if ((rights & verb_words[i].rights) != 0)
            n += (size_t)snprintf(out + n, ACCESS_RIGHTS_TEXT_MAX - n, "%s%s", n > 0 ? "," : "",
                                  verb_words[i].name);
}

/* ---- parsing ---- */

static int
parse_rule_verbs(const struct access_text *t, struct bytes word, unsigned *rights, struct err *err)
{
    struct bytes rest = word;
    bool more = true, none = false;

    *rights = 0;
    for (size_t n = 0; more; n++) {
        const char *comma = memchr(rest.p, ',', rest.n);
        struct bytes verb =
            bytes_of(rest.p, comma != NULL ? (size_t)(comma - (const char *)rest.p) : rest.n);
        unsigned one = 0;

        more = comma != NULL;
        if (!access_rules_verb(verb, &one))
            return access_text_refuse(t, err, ACCESS_WORD " is no verb (" VERB_LIST ")",
                                      ACCESS_WORD_ARGS(verb));
        none = none || one == 0;
        if (none && (more || n > 0))
            return access_text_refuse(t, err, ACCESS_WORD ": none can't have other verbs beside it",
                                      ACCESS_WORD_ARGS(word));
        *rights |= one;
        rest = bytes_after(rest, verb.n + more);
    }
    return 0;
}

/* has_user: the pattern of the line contains {user}. */
static int
check_rule_who(const struct access_text *t, struct bytes who, bool has_user,
               const struct access_groups *groups, struct err *err)
{
    struct bytes group = bytes_after(who, 1);

    if (bytes_equal(who, bytes_str(ACCESS_EVERY_USER)))
        return 0;
    if (bytes_equal(who, bytes_str(ACCESS_SAME_USER)))
        return has_user ? 0
                        : access_text_refuse(t, err,
                                             "the pattern contains no {user}, so {user} can't be "
                                             "who may: write * for all users");
    if (bytes_equal(who, bytes_str(ACCESS_ANONYMOUS)))
        return !has_user ? 0
                         : access_text_refuse(t, err,
                                              "anonymous clients have no name that could stand for "
                                              "{user} in the pattern");
    if (*(const char *)who.p != '@')
        return access_text_check_user(t, who, err);
    if (!access_groups_is_name(group))
        return access_text_refuse(t, err,
                                  ACCESS_WORD " is no group: its name has a-z, A-Z, 0-9, ., _ "
                                              "and -",
                                  ACCESS_WORD_ARGS(who));
    return access_groups_know(groups, group)
               ? 0
               : access_text_refuse(t, err, ACCESS_WORD ": there is no such group in %s",
                                    ACCESS_WORD_ARGS(who), ACCESS_GROUPS_NAME);
}

static int
parse_rule_line(struct access_rules *r, const struct access_text *t, struct bytes line,
                const struct access_groups *groups, struct err *err)
{
    struct access_rule rule = {.line = t->line};
    struct access_pattern compiled;
    struct bytes pattern, verbs, more;
    struct err inner;

    if (!access_text_word(&line, &pattern) || !access_text_word(&line, &rule.who) ||
        !access_text_word(&line, &verbs))
        return access_text_refuse(t, err, "a line has three words: PATTERN WHO VERBS");
    if (access_text_word(&line, &more))
        return access_text_refuse(t, err,
                                  ACCESS_WORD " is one word too many: a line is PATTERN WHO VERBS, "
                                              "with commas and no blanks between the verbs, and a "
                                              "comment is a line of its own",
                                  ACCESS_WORD_ARGS(more));
    if (access_pattern_compile(&compiled, pattern, &inner) != 0)
        return access_text_refuse(t, err, "%s", inner.message);
    if (check_rule_who(t, rule.who, compiled.has_user, groups, err) != 0 ||
        parse_rule_verbs(t, verbs, &rule.rights, err) != 0)
        return -1;
    if (r->n == ACCESS_FORMAT_RULES)
        return err_set(err, ERR_TOO_LARGE, "%s has more than %d rules", t->name,
                       ACCESS_FORMAT_RULES);
    rule.pattern_at = (uint32_t)r->patterns.n;
    rule.pattern_n = (uint32_t)compiled.n;
    buf_put(&r->patterns, compiled.v, compiled.n);
    r->v = mem_grow(r->v, &r->room, r->n + 1, sizeof *r->v);
    r->v[r->n++] = rule;
    return 0;
}

int
access_rules_parse(struct access_rules *r, struct bytes file, const char *name,
                   const struct access_groups *groups, struct err *err)
{
    struct access_text t = {.name = name, .rest = file};
    struct bytes line;

    *r = (struct access_rules){.n = 0};
    buf_init(&r->patterns, ACCESS_RULES_MAX);
    if (file.n > ACCESS_RULES_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s has more than %u bytes", name, ACCESS_RULES_MAX);
    while (access_text_next(&t, &line))
        if (parse_rule_line(r, &t, line, groups, err) != 0)
            return -1;
    return 0;
}

void
access_rules_free(struct access_rules *r)
{
    free(r->v);
    buf_free(&r->patterns);
}
