#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domain/retention/retain_image.h"
#include "domain/retention/retain_rules.h"

static unsigned
line_for(const struct retain_rules *r, const char *repository)
{
    const struct retain_rule *rule = retain_rules_find(r, repository);

    return rule != NULL ? rule->line : 0;
}

static void
the_first_line_that_matches_decides(void **state)
{
    static const char text[] = "# teams\n"
                               "team/base keep all\n"
                               "team/** keep last 10, younger 30d,match v*,  pulled 14d, match x\n"
                               "\n"
                               "\tscratch/*\tkeep\tyounger 90\r\n"
                               "** keep last 1";
    struct retain_rules r;
    struct err err;

    (void)state;
    assert_int_equal(retain_rules_parse(&r, bytes_str(text), "f", &err), 0);
    assert_int_equal(r.n, 4);
    assert_int_equal(line_for(&r, "team/base"), 2);
    assert_int_equal(line_for(&r, "team/a/b"), 3);
    assert_int_equal(line_for(&r, "scratch/a"), 5);
    assert_int_equal(line_for(&r, "scratch/a/b"), 6);
    assert_true(r.v[0].all && !r.v[1].all);
    assert_int_equal(r.v[1].last, 10);
    assert_int_equal(r.v[1].younger_ms, 30 * 86400000ull);
    assert_int_equal(r.v[1].pulled_ms, 14 * 86400000ull);
    assert_int_equal(r.v[1].globs_n, 2);
    assert_string_equal(retain_rules_glob(&r, &r.v[1], 0), "v*");
    assert_string_equal(retain_rules_glob(&r, &r.v[1], 1), "x");
    assert_int_equal(r.v[2].younger_ms, 90000);
    retain_rules_free(&r);

    assert_int_equal(retain_rules_parse(&r, bytes_str("# none\n"), "f", &err), 0);
    assert_int_equal(line_for(&r, "team/base"), 0);
    retain_rules_free(&r);
}

static void
each_mistake_is_told(void **state)
{
    static const struct {
        const char *line, *says;
    } mistakes[] = {
        {"a", "expected PATTERN keep CLAUSE"},
        {"a last 3", "expected PATTERN keep CLAUSE"},
        {"a keep", "expected a clause at each side of a comma"},
        {"a keep last 3,", "expected a clause at each side of a comma"},
        {"a keep , last 3", "expected a clause at each side of a comma"},
        {"a keep last 3,, match v", "expected a clause at each side of a comma"},
        {"a keep newest 3", "\"newest\": expected all, last N"},
        {"a keep last", "last: expected a value behind it"},
        {"a keep last 0", "last \"0\": expected a number from 1 to 10000"},
        {"a keep last 10001", "expected a number from 1 to 10000"},
        {"a keep last -1", "expected a number from 1 to 10000"},
        {"a keep last 1, last 2", "a line has one clause \"last\""},
        {"a keep younger 3w", "younger \"3w\": expected a time such as"},
        {"a keep younger 0s", "expected a time such as"},
        {"a keep younger 99999999999999999999999d", "expected a time such as"},
        {"a keep pulled soon", "pulled \"soon\": expected a time such as"},
        {"a keep pulled 1d, pulled 1d", "a line has one clause \"pulled\""},
        {"a keep match a/b", "which have no /"},
        {"a keep match v[0-9", "a ] behind each ["},
        {"a keep match a:b", "no tag can match it"},
        {"a keep match v{1}", "no tag can match it"},
        {"../x keep all", "no repository can match it"},
        {"a/.b/** keep all", "no repository can match it"},
        {"a keep all, last 3", "expected no other clause beside all"},
        {"a keep last 3, all", "expected no other clause beside all"},
        {"a keep all, all", "expected no other clause beside all"},
        {"a keep all tags", "expected nothing behind all"},
        {"a keep last 3 # ten", "\"#\": expected a comma"},
        {"{user}/a keep all", "expected a pattern without {user}"},
        {"A keep all", "A"},
    };
    struct retain_rules r;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        char text[200];

        snprintf(text, sizeof text, "x keep all\n%s\n", mistakes[i].line);
        assert_int_equal(retain_rules_parse(&r, bytes_str(text), "auth/retain", &err), -1);
        retain_rules_free(&r);
        if (strncmp(err.message, "auth/retain:2: ", 15) != 0 ||
            strstr(err.message, mistakes[i].says) == NULL)
            fail_msg("%s: %s", mistakes[i].line, err.message);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

static void
there_are_bounds(void **state)
{
    struct buf text;
    struct retain_rules r;
    struct err err;

    (void)state;
    buf_init(&text, 2 * RETAIN_RULES_BYTES);
    for (int i = 0; i < RETAIN_RULES_MAX; i++)
        buf_puts(&text, "a keep all\n");
    assert_int_equal(retain_rules_parse(&r, buf_bytes(&text), "f", &err), 0);
    assert_int_equal(r.n, RETAIN_RULES_MAX);
    retain_rules_free(&r);
    buf_puts(&text, "a keep all\n");
    assert_int_equal(retain_rules_parse(&r, buf_bytes(&text), "f", &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    retain_rules_free(&r);

    buf_reset(&text);
    while (text.n <= RETAIN_RULES_BYTES)
        buf_puts(&text, "#\n");
    assert_int_equal(retain_rules_parse(&r, buf_bytes(&text), "f", &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    retain_rules_free(&r);

    buf_reset(&text);
    buf_puts(&text, "a keep match a");
    for (int i = 0; i < RETAIN_RULES_GLOBS_MAX; i++)
        buf_puts(&text, ", match b");
    assert_int_equal(retain_rules_parse(&r, buf_bytes(&text), "f", &err), -1);
    retain_rules_free(&r);

    buf_reset(&text);
    buf_puts(&text, "a keep match ");
    for (int i = 0; i < 256; i++)
        buf_putc(&text, 'a');
    assert_int_equal(retain_rules_parse(&r, buf_bytes(&text), "f", &err), -1);
    retain_rules_free(&r);
    buf_free(&text);
}

static void
a_signature_is_known_by_its_name(void **state)
{
    static const char hex[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char tag[200], text[DIGEST_TEXT_MAX];
    struct digest d;

    (void)state;
    snprintf(tag, sizeof tag, "sha256-%s.sig", hex);
    assert_true(retain_image_signed(tag, &d));
    digest_text(text, &d);
    assert_string_equal(text + 7, hex);
    snprintf(tag, sizeof tag, "sha256-%s", hex);
    assert_true(retain_image_signed(tag, &d));
    snprintf(tag, sizeof tag, "sha256-%s-sig", hex);
    assert_false(retain_image_signed(tag, &d));
    snprintf(tag, sizeof tag, "sha256-%sa.sig", hex);
    assert_false(retain_image_signed(tag, &d));
    snprintf(tag, sizeof tag, "sha256-%.63sA", hex);
    assert_false(retain_image_signed(tag, &d));
    snprintf(tag, sizeof tag, "sha256-%.63s", hex);
    assert_false(retain_image_signed(tag, &d));
    assert_false(retain_image_signed("sha256-", &d));
    assert_false(retain_image_signed("v1", &d));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_that_matches_decides),
        cmocka_unit_test(each_mistake_is_told),
        cmocka_unit_test(there_are_bounds),
        cmocka_unit_test(a_signature_is_known_by_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
