#include "domain/retention/retain_rules.h"
#include <stdlib.h>
#include <string.h>
#include "domain/access/access_name.h"
#include "domain/access/access_pattern.h"
#include "domain/access/access_text.h"
#include "domain/name_pattern.h"
#include "storage/tables/record.h"
#include "util/glob.h"
#include "util/mem.h"
#include "util/parse.h"

#define CLAUSES "all, last N, younger TIME, pulled TIME or match GLOB"
/* A number or a time as text. */
#define VALUE_MAX 24

/* ---- one clause ---- */

static bool
copy_value(char out[VALUE_MAX], struct bytes word)
{
    if (word.n >= VALUE_MAX)
        return false;
    memcpy(out, word.p, word.n);
    out[word.n] = '\0';
    return true;
}

static int
refuse_second(const struct access_text *t, const char *clause, struct err *err)
{
    return access_text_refuse(t, err, "a line has one clause \"%s\"", clause);
}

static int
parse_last(const struct access_text *t, struct bytes value, struct retain_rule *rule,
           struct err *err)
{
    if (rule->last > 0)
        return refuse_second(t, "last", err);
    if (!parse_u64(value.p, value.n, &rule->last) || rule->last == 0 ||
        rule->last > RETAIN_RULES_LAST_MAX)
        return access_text_refuse(t, err, "last " ACCESS_WORD ": expected a number from 1 to %d",
                                  ACCESS_WORD_ARGS(value), RETAIN_RULES_LAST_MAX);
    return 0;
}

static int
parse_time(const struct access_text *t, const char *clause, struct bytes value, uint64_t *ms,
           struct err *err)
{
    char text[VALUE_MAX];

    if (*ms > 0)
        return refuse_second(t, clause, err);
    if (!copy_value(text, value) || !parse_duration_ms(text, ms) || *ms == 0)
        return access_text_refuse(t, err,
                                  "%s " ACCESS_WORD ": expected a time such as 90s, 12h or "
                                  "30d, not 0",
                                  clause, ACCESS_WORD_ARGS(value));
    return 0;
}

static int
parse_match(struct retain_rules *r, const struct access_text *t, struct bytes value,
            struct retain_rule *rule, struct err *err)
{
    if (value.n > GLOB_MAX)
        return access_text_refuse(t, err, "match " ACCESS_WORD ": expected at most %d bytes",
                                  ACCESS_WORD_ARGS(value), GLOB_MAX);
    if (memchr(value.p, '/', value.n) != NULL || memchr(value.p, '\0', value.n) != NULL)
        return access_text_refuse(t, err,
                                  "match " ACCESS_WORD ": expected a pattern of tags, which "
                                  "have no / in their names",
                                  ACCESS_WORD_ARGS(value));
    if (!glob_is_closed(value))
        return access_text_refuse(t, err, "match " ACCESS_WORD ": expected a ] behind each [",
                                  ACCESS_WORD_ARGS(value));
    if (!name_pattern_fits_tag(value))
        return access_text_refuse(t, err, "match " ACCESS_WORD ": " NAME_PATTERN_TAG,
                                  ACCESS_WORD_ARGS(value));
    if (rule->globs_n == RETAIN_RULES_GLOBS_MAX)
        return access_text_refuse(t, err, "expected at most %d clauses \"match\"",
                                  RETAIN_RULES_GLOBS_MAX);
    rule->globs_n++;
    buf_put(&r->globs, value.p, value.n);
    buf_putc(&r->globs, '\0');
    return 0;
}

static int
parse_clause(struct retain_rules *r, const struct access_text *t, struct bytes clause,
             struct retain_rule *rule, struct err *err)
{
    struct bytes name, value, more;

    if (!access_text_word(&clause, &name))
        return access_text_refuse(t, err, "expected a clause at each side of a comma: " CLAUSES);
    if (bytes_equal(name, bytes_str("all"))) {
        rule->all = true;
        return access_text_word(&clause, &more)
                   ? access_text_refuse(t, err, "all " ACCESS_WORD ": expected nothing behind all",
                                        ACCESS_WORD_ARGS(more))
                   : 0;
    }
    if (!bytes_equal(name, bytes_str("last")) && !bytes_equal(name, bytes_str("younger")) &&
        !bytes_equal(name, bytes_str("pulled")) && !bytes_equal(name, bytes_str("match")))
        return access_text_refuse(t, err, ACCESS_WORD ": expected " CLAUSES,
                                  ACCESS_WORD_ARGS(name));
    if (!access_text_word(&clause, &value))
        return access_text_refuse(t, err, "%.*s: expected a value behind it, as in " CLAUSES,
                                  (int)name.n, (const char *)name.p);
    if (access_text_word(&clause, &more))
        return access_text_refuse(t, err,
                                  ACCESS_WORD ": expected a comma in front of the next "
                                              "clause; a comment is a line of its own",
                                  ACCESS_WORD_ARGS(more));
    if (bytes_equal(name, bytes_str("last")))
        return parse_last(t, value, rule, err);
    if (bytes_equal(name, bytes_str("younger")))
        return parse_time(t, "younger", value, &rule->younger_ms, err);
    if (bytes_equal(name, bytes_str("pulled")))
        return parse_time(t, "pulled", value, &rule->pulled_ms, err);
    return parse_match(r, t, value, rule, err);
}

/* ---- lines ---- */

static int
parse_clauses(struct retain_rules *r, const struct access_text *t, struct bytes rest,
              struct retain_rule *rule, struct err *err)
{
    bool more = true;

    for (size_t n = 1; more; n++) {
        const char *comma = rest.n > 0 ? memchr(rest.p, ',', rest.n) : NULL;
        struct bytes clause =
            bytes_of(rest.p, comma != NULL ? (size_t)(comma - (const char *)rest.p) : rest.n);

        more = comma != NULL;
        if (parse_clause(r, t, clause, rule, err) != 0)
            return -1;
        if (rule->all && (more || n > 1))
            return access_text_refuse(t, err, "expected no other clause beside all");
        rest = bytes_after(rest, clause.n + more);
    }
    return 0;
}

static int
parse_retain_line(struct retain_rules *r, const struct access_text *t, struct bytes line,
                  struct err *err)
{
    struct retain_rule rule = {
        .line = t->line, .pattern_at = (uint32_t)r->patterns.n, .globs_at = (uint32_t)r->globs.n};
    struct access_pattern compiled;
    struct bytes pattern, keep;
    struct err inner;

    access_text_word(&line, &pattern);
    if (!access_text_word(&line, &keep) || !bytes_equal(keep, bytes_str("keep")))
        return access_text_refuse(t, err,
                                  "expected PATTERN keep CLAUSE, CLAUSE, ...; the clauses "
                                  "are " CLAUSES);
    if (access_pattern_compile(&compiled, pattern, &inner) != 0)
        return access_text_refuse(t, err, "%s", inner.message);
    if (compiled.has_user)
        return access_text_refuse(t, err, ACCESS_WORD ": expected a pattern without {user}",
                                  ACCESS_WORD_ARGS(pattern));
    if (!name_pattern_fits_repository(pattern))
        return access_text_refuse(t, err, ACCESS_WORD ": " NAME_PATTERN_REPOSITORY,
                                  ACCESS_WORD_ARGS(pattern));
    if (parse_clauses(r, t, line, &rule, err) != 0)
        return -1;
    if (r->n == RETAIN_RULES_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s has more than %d rules", t->name, RETAIN_RULES_MAX);
    rule.pattern_n = (uint32_t)compiled.n;
    buf_put(&r->patterns, compiled.v, compiled.n);
    r->v = mem_grow(r->v, &r->room, r->n + 1, sizeof *r->v);
    r->v[r->n++] = rule;
    return 0;
}

int
retain_rules_parse(struct retain_rules *r, struct bytes file, const char *name, struct err *err)
{
    struct access_text t = {.name = name, .rest = file};
    struct bytes line;

    *r = (struct retain_rules){.n = 0};
    buf_init(&r->patterns, RETAIN_RULES_BYTES);
    buf_init(&r->globs, RETAIN_RULES_BYTES);
    if (file.n > RETAIN_RULES_BYTES)
        return err_set(err, ERR_TOO_LARGE, "%s has more than %u bytes", name, RETAIN_RULES_BYTES);
    while (access_text_next(&t, &line))
        if (parse_retain_line(r, &t, line, err) != 0)
            return -1;
    return 0;
}

void
retain_rules_free(struct retain_rules *r)
{
    free(r->v);
    buf_free(&r->patterns);
    buf_free(&r->globs);
    *r = (struct retain_rules){.n = 0};
}

/* ---- asking ---- */

const struct retain_rule *
retain_rules_find(const struct retain_rules *r, const char *repository)
{
    struct access_name name;

    if (!access_name_set(&name, repository))
        return NULL;
    for (size_t i = 0; i < r->n; i++)
        if (access_pattern_match((const uint8_t *)r->patterns.p + r->v[i].pattern_at,
                                 r->v[i].pattern_n, &name, bytes_str("")))
            return &r->v[i];
    return NULL;
}

const char *
retain_rules_glob(const struct retain_rules *r, const struct retain_rule *rule, size_t i)
{
    const char *text = r->globs.p + rule->globs_at;

    for (; i > 0; i--)
        text += strlen(text) + 1;
    return text;
}
