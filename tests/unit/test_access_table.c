/* Access rules: the file's meaning, its errors, and decisions held against a plain table. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "domain/access/access_table.h"
#include "storage/tables/record.h"
#include "util/glob.h"
#include "util/mem.h"

static struct buf compiled;
static struct access_table table;

static int
set_up(void **state)
{
    (void)state;
    buf_init(&compiled, ACCESS_TABLE_MAX);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    buf_free(&compiled);
    return 0;
}

static int
compile(const char *rules, const char *groups, const char *users, struct err *err)
{
    struct access_sources s = {.has_rules = rules != NULL,
                               .rules = bytes_str(rules != NULL ? rules : ""),
                               .groups = bytes_str(groups),
                               .users = bytes_str(users),
                               .rules_name = "auth/access"};

    buf_reset(&compiled);
    return access_table_compile(&s, &compiled, err);
}

static void
with(const char *rules, const char *groups, const char *users)
{
    struct err err = {0};

    if (compile(rules, groups, users, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(access_table_open(&table, buf_bytes(&compiled), &err), 0);
}

static struct access_decision
decide(const char *user, const char *repository)
{
    struct access_decision d;

    access_table_decide(&table, user, repository, &d);
    return d;
}

static unsigned
rights(const char *user, const char *repository)
{
    return decide(user, repository).rights;
}

/* ---- what the files mean ---- */

static void
without_rules_users_may_everything_and_others_nothing(void **state)
{
    (void)state;
    with(NULL, "", "");
    assert_false(access_table_has_rules(&table));
    assert_int_equal(rights("ann", "a"), RIGHT_ALL);
    assert_int_equal(rights("", "a"), 0);
    assert_int_equal(access_table_anywhere(&table, "ann"), RIGHT_ALL);
    assert_int_equal(access_table_anywhere(&table, ""), 0);
}

static void
rules_that_say_nothing_deny(void **state)
{
    (void)state;
    with("# nothing yet\n\n", "", "");
    assert_true(access_table_has_rules(&table));
    assert_int_equal(rights("ann", "a"), 0);
    assert_int_equal(access_table_anywhere(&table, "ann"), 0);
}

static void
the_first_line_that_matches_decides(void **state)
{
    (void)state;
    with("team/secret/** @ops all\n"
         "team/secret/** * none\r\n"
         "\t team/**\t@devs   pull,push \n"
         "team/app bob delete\n"
         "** ci pull,create",
         "devs: ann bob\nops: zoe\ndevs: cid\n", "");
    assert_int_equal(rights("ann", "team/app"), RIGHT_PULL | RIGHT_PUSH);
    assert_int_equal(rights("cid", "team/a/b/c"), RIGHT_PULL | RIGHT_PUSH);
    assert_int_equal(rights("zoe", "team/secret/x"), RIGHT_ALL);
    assert_int_equal(decide("ann", "team/secret/x").line, 2);
    assert_int_equal(rights("ann", "team/secret/x"), 0);
    assert_int_equal(rights("bob", "team/app"), RIGHT_PULL | RIGHT_PUSH);
    assert_int_equal(decide("bob", "team/app").line, 3);
    assert_int_equal(rights("ci", "other"), RIGHT_PULL | RIGHT_CREATE);
    assert_int_equal(decide("ci", "other").line, 5);
    assert_int_equal(decide("zoe", "team/app").line, 0);
    assert_int_equal(rights("", "team/app"), 0);
    assert_int_equal(rights("an", "team/app"), 0);
    assert_int_equal(rights("Ann", "team/app"), 0);
    assert_int_equal(access_table_anywhere(&table, "bob"), RIGHT_PULL | RIGHT_PUSH | RIGHT_DELETE);
    assert_int_equal(access_table_anywhere(&table, "nobody"), 0);
}

static bool
has_everywhere(const char *rules, const char *user, unsigned rights)
{
    with(rules, "ops: ann\n", "");
    return access_table_everywhere(&table, user, rights);
}

static void
a_right_on_all_repositories_is_one_of_the_first_lines(void **state)
{
    (void)state;
    assert_true(has_everywhere("** ann admin", "ann", RIGHT_ADMIN));
    assert_true(has_everywhere("** * all", "ann", RIGHT_ADMIN | RIGHT_PULL));
    assert_true(has_everywhere("x/** ann all\n** ann all\ny ann none", "ann", RIGHT_ADMIN));
    assert_false(has_everywhere("** ann admin", "ann", RIGHT_ADMIN | RIGHT_PULL));
    assert_false(has_everywhere("x/** ann pull\n** ann all", "ann", RIGHT_ADMIN));
    assert_false(has_everywhere("** ann pull\n** ann all", "ann", RIGHT_ADMIN));
    assert_false(has_everywhere("* ann all\n*/* ann all", "ann", RIGHT_ADMIN));
    assert_false(has_everywhere("**/* ann all", "ann", RIGHT_ADMIN));
    assert_false(has_everywhere("** anonymous all", "", RIGHT_ADMIN));
    assert_true(has_everywhere(NULL, "ann", RIGHT_ADMIN));
}

static void
what_anonymous_clients_may_users_may_too(void **state)
{
    struct access_decision d;

    (void)state;
    with("public/hidden/* anonymous none\n"
         "public/** anonymous pull\n"
         "public/** ann push\n"
         "** bob none\n",
         "", "");
    d = decide("", "public/x");
    assert_int_equal(d.rights, RIGHT_PULL);
    assert_int_equal(d.line, 0);
    assert_int_equal(d.anonymous_line, 2);
    d = decide("ann", "public/x");
    assert_int_equal(d.rights, RIGHT_PULL | RIGHT_PUSH);
    assert_int_equal(d.line, 3);
    assert_int_equal(d.anonymous_line, 2);
    d = decide("bob", "public/x");
    assert_int_equal(d.rights, RIGHT_PULL);
    assert_int_equal(d.line, 4);
    assert_int_equal(rights("", "public/hidden/x"), 0);
    assert_int_equal(rights("ann", "public/hidden/x"), RIGHT_PUSH);
    assert_int_equal(access_table_anywhere(&table, ""), RIGHT_PULL);
    assert_int_equal(access_table_anywhere(&table, "ann"), RIGHT_PULL | RIGHT_PUSH);
}

static void
a_user_is_put_for_user_in_the_pattern(void **state)
{
    (void)state;
    with("{user}/** {user} all\n"
         "x-{user}-{user}/y @devs pull\n"
         "old/{user} ann delete\n"
         "*/** * pull\n",
         "devs: ann\n", "");
    assert_int_equal(rights("ann", "ann/a/b"), RIGHT_ALL);
    assert_int_equal(rights("ann", "bob/a"), RIGHT_PULL);
    assert_int_equal(rights("bob", "bob/a"), RIGHT_ALL);
    assert_int_equal(rights("ann", "x-ann-ann/y"), RIGHT_PULL);
    assert_int_equal(decide("ann", "x-ann-ann/y").line, 2);
    assert_int_equal(decide("bob", "x-bob-bob/y").line, 4);
    assert_int_equal(rights("ann", "old/ann"), RIGHT_DELETE);
    assert_int_equal(rights("bob", "old/bob"), RIGHT_PULL);
    /* A name is no pattern, and not more than a component. */
    assert_int_equal(rights("*", "ann/a"), RIGHT_PULL);
    assert_int_equal(rights("?nn", "ann/a"), RIGHT_PULL);
    assert_int_equal(rights("ann/a", "ann/a/b"), RIGHT_PULL);
    assert_int_equal(rights("Ann", "ann/a"), RIGHT_PULL);
    assert_int_equal(rights("", "ann/a"), 0);
}

static void
words_with_a_meaning_are_no_users(void **state)
{
    (void)state;
    with("a * pull\nb anonymous push\nc @devs all\nd/{user} {user} pull\n", "devs: ann\n",
         "*:$5$x\nanonymous:$5$x\n@devs:$5$x\n{user}:$5$x\n");
    assert_int_equal(rights("*", "a"), RIGHT_PULL);
    assert_int_equal(rights("anonymous", "b"), RIGHT_PUSH);
    assert_int_equal(decide("anonymous", "b").line, 0);
    assert_int_equal(rights("@devs", "c"), 0);
    assert_int_equal(rights("{user}", "d/ann"), 0);
}

static void
stars_mean_what_they_mean_in_other_patterns(void **state)
{
    static const struct {
        const char *pattern, *yes, *no;
    } rows[] = {
        {"team/*", "team/a", "team/a/b"},
        {"team/**", "team/a/b", "team"},
        {"**", "a/b/c", NULL},
        {"*", "a.b-c", "a/b"},
        {"**/x", "x", "ax"},
        {"**/x", "a/b/x", "a/b/ax"},
        {"a/**/x", "a/x", "a/bx"},
        {"a/**/x", "a/b/c/x", "ax"},
        {"a**x", "a/b/x", "a/b"},
        {"a?c", "abc", "a/c"},
        {"a*c/d", "a-c/d", "a/c/d"},
        {"*-*-*", "a-b-c", "a-b/c-d"},
        {"**/**/a", "a", "b"},
        {"***", "a/b", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char line[64];

        snprintf(line, sizeof line, "%s * pull\n", rows[i].pattern);
        with(line, "", "");
        if (rights("ann", rows[i].yes) != RIGHT_PULL)
            fail_msg("%s doesn't match %s", rows[i].pattern, rows[i].yes);
        if (rows[i].no != NULL && rights("ann", rows[i].no) != 0)
            fail_msg("%s matches %s", rows[i].pattern, rows[i].no);
    }
}

static void
the_longest_names_are_matched(void **state)
{
    char name[RECORD_REPOSITORY_MAX + 2], rule[RECORD_REPOSITORY_MAX + 64];

    (void)state;
    for (size_t n = 1; n <= RECORD_REPOSITORY_MAX; n++) {
        memset(name, 'a', n);
        name[n] = '\0';
        if (n > 4)
            name[n - 3] = '/';
        snprintf(rule, sizeof rule, "%s ann pull\n**a bob pull\n*/*a cid pull\n**? * delete\n",
                 name);
        with(rule, "", "");
        assert_int_equal(rights("ann", name), RIGHT_PULL);
        assert_int_equal(rights("bob", name), RIGHT_PULL);
        assert_int_equal(rights("cid", name), n > 4 ? RIGHT_PULL : RIGHT_DELETE);
        assert_int_equal(rights("dan", name), RIGHT_DELETE);
        name[n - 1] = 'b';
        assert_int_equal(rights("ann", name), RIGHT_DELETE);
        assert_int_equal(rights("bob", name), RIGHT_DELETE);
    }
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(rights("bob", name), 0);
}

/* ---- users ---- */

static void
a_stamp_changes_with_the_line(void **state)
{
    uint8_t first[ACCESS_STAMP_BYTES], stamp[ACCESS_STAMP_BYTES];
    uint64_t expiry = 7;

    (void)state;
    with("a zoe pull\n", "devs: cid\n", "ann:$5$x\nbob:$5$x\nann:$5$second\n#c\n");
    assert_true(access_table_user(&table, bytes_str("ann"), first, &expiry));
    assert_int_equal(expiry, 0);
    assert_true(access_table_user(&table, bytes_str("bob"), stamp, &expiry));
    assert_memory_not_equal(first, stamp, sizeof stamp);
    assert_false(access_table_user(&table, bytes_str("zoe"), stamp, &expiry));
    assert_false(access_table_user(&table, bytes_str("cid"), stamp, &expiry));
    assert_false(access_table_user(&table, bytes_str("an"), stamp, &expiry));
    assert_false(access_table_user(&table, bytes_str(""), stamp, &expiry));
    with(NULL, "", "# other\nann:$5$x\n");
    assert_true(access_table_user(&table, bytes_str("ann"), stamp, &expiry));
    assert_memory_equal(first, stamp, sizeof stamp);
    with(NULL, "", "ann:$5$y\n");
    assert_true(access_table_user(&table, bytes_str("ann"), stamp, &expiry));
    assert_memory_not_equal(first, stamp, sizeof stamp);
}

static void
robots_expire(void **state)
{
    static const struct {
        const char *line;
        uint64_t expiry;
    } rows[] = {
        {"ci:{SSHA}x", 0},
        {"ci:{SSHA}x:robot", 0},
        {"ci:{SSHA}x:robot,expires=1700000000", 1700000000},
        {"ci:{SSHA}x:robot,new=1,expires=12:more", 1},
        {"ci:{SSHA}x:robot,new=1,expires=12", 12},
        {"ci:{SSHA}x:robot,expires=", 1},
        {"ci:{SSHA}x:robot,expires=soon", 1},
        {"ci:{SSHA}x:robot,expires=-5", 1},
        {"ci:{SSHA}x:Robert,expires=5", 0},
    };
    uint8_t stamp[ACCESS_STAMP_BYTES];
    uint64_t expiry;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        with("", "", rows[i].line);
        assert_true(access_table_user(&table, bytes_str("ci"), stamp, &expiry));
        if (expiry != rows[i].expiry)
            fail_msg("%s: %llu", rows[i].line, (unsigned long long)expiry);
    }
}

/* ---- errors ---- */

static void
errors_name_file_line_and_word(void **state)
{
    static const struct {
        const char *rules, *groups, *message;
    } rows[] = {
        {"a b pull\n\n** ann pul\n", "",
         "auth/access:3: \"pul\" is no verb (pull, push, create, overwrite, delete, admin, all, "
         "none)"},
        {"a b pull,\n", "", "auth/access:1: \"\" is no verb (pull"},
        {"a b pull,none\n", "", "auth/access:1: \"pull,none\": none can't have other verbs"},
        {"a b\n", "", "auth/access:1: a line has three words: PATTERN WHO VERBS"},
        {"a\n", "", "auth/access:1: a line has three words"},
        {"#\n#\na b pull, push\n", "", "auth/access:3: \"push\" is one word too many"},
        {"a b pull # why\n", "", "auth/access:1: \"#\" is one word too many"},
        {"a @devs pull\n", "ops: ann\n",
         "auth/access:1: \"@devs\": there is no such group in auth/groups"},
        {"a @ pull\n", "", "auth/access:1: \"@\" is no group"},
        {"a b:c pull\n", "", "auth/access:1: \"b:c\" is no user: the name contains a colon"},
        {"a ann,bob pull\n", "", "auth/access:1: \"ann,bob\" is no user: leave out the comma"},
        {"a b* pull\n", "", "auth/access:1: \"b*\" is no user"},
        {"a {user} pull\n", "", "auth/access:1: the pattern contains no {user}"},
        {"{user} anonymous pull\n", "", "auth/access:1: anonymous clients have no name"},
        {"te[am]/* ann pull\n", "",
         "auth/access:1: \"te[am]/*\": no repository has a [ in its name"},
        {"a\\b ann pull\n", "", "auth/access:1: \"a\\b\": no repository has a \\ in its name"},
        {"Team/* ann pull\n", "", "auth/access:1: \"Team/*\": no repository has a T"},
        {"a:latest ann pull\n", "", "auth/access:1: \"a:latest\": no repository has a : in"},
        {"\xc3\xa4 ann pull\n", "", "auth/access:1: \"\?\?\": no repository has a \\xc3 in"},
        {"{name}/* ann pull\n", "", "auth/access:1: \"{name}/*\": only {user} may stand in"},
        {"/a ann pull\n", "", "auth/access:1: \"/a\": leave out the slash at the beginning"},
        {"a/ ann pull\n", "", "auth/access:1: \"a/\": leave out the slash at the end"},
        {"a//b ann pull\n", "", "auth/access:1: \"a//b\": no repository has two slashes"},
        {"", "devs ann\n", "auth/groups:1: no colon: a line is GROUP: USER USER ..."},
        {"", "# us\nde vs: ann\n", "auth/groups:2: \"de vs\" can't be the name of a group"},
        {"", ": ann\n", "auth/groups:1: \"\" can't be the name of a group"},
        {"", "devs: ann,bob\n", "auth/groups:1: \"ann,bob\" is no user: leave out the comma"},
        {"", "devs: @ops\n", "auth/groups:1: \"@ops\": a group has users"},
        {"", "devs: anonymous\n", "auth/groups:1: \"anonymous\" can't be in a group"},
        {"", "devs: a:b\n", "auth/groups:1: \"a:b\" is no user: the name contains a colon"},
        {"", "devs: *\n", "auth/groups:1: \"*\" is no user"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};

        assert_int_equal(compile(rows[i].rules, rows[i].groups, "", &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        if (strncmp(err.message, rows[i].message, strlen(rows[i].message)) != 0)
            fail_msg("%s, and not %s", err.message, rows[i].message);
    }
}

static void
there_are_bounds(void **state)
{
    struct buf text;
    struct err err = {0};
    char longest[300];
    struct access_sources many = {.rules_name = "auth/access", .users.n = ACCESS_USERS_MAX + 1};

    (void)state;
    buf_init(&text, 100000000);
    for (int i = 0; i < 20000; i++)
        buf_puts(&text, "a b pull\n\n");
    with(buf_text(&text), "", "");
    buf_puts(&text, "a b pull\n");
    assert_int_equal(compile(buf_text(&text), "", "", &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.message, "auth/access has more than 20000 rules");
    buf_reset(&text);
    memset(buf_extend(&text, 4 * 1024 * 1024 + 1), '\n', 4 * 1024 * 1024 + 1);
    assert_int_equal(compile(buf_text(&text), "", "", &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    memset(buf_extend(&text, 12 * 1024 * 1024), '\n', 12 * 1024 * 1024);
    assert_int_equal(compile("", buf_text(&text), "", &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    many.users.p = buf_text(&text); /* the length alone is looked at */
    assert_int_equal(access_table_compile(&many, &compiled, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.message, "run/htpasswd has more than 134217728 bytes");
    memset(longest, 'a', 256);
    snprintf(longest + 256, sizeof longest - 256, " ann pull\n");
    assert_int_equal(compile(longest, "", "", &err), -1);
    assert_non_null(strstr(err.message, "a pattern has 1 to 255 bytes"));
    with(longest + 1, "", "");
    buf_free(&text);
}

static void
damaged_bytes_are_refused(void **state)
{
    struct err err = {0};

    (void)state;
    with("a ann pull\n** @devs all\n", "devs: bob\n", "ann:$5$x\n");
    for (size_t i = 0; i < compiled.n; i++) {
        compiled.p[i] = (char)(compiled.p[i] ^ 1);
        assert_int_equal(access_table_open(&table, buf_bytes(&compiled), &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        compiled.p[i] = (char)(compiled.p[i] ^ 1);
        assert_int_equal(access_table_open(&table, bytes_of(compiled.p, i), &err), -1);
    }
    buf_putc(&compiled, '\0');
    assert_int_equal(access_table_open(&table, buf_bytes(&compiled), &err), -1);
    buf_cut(&compiled, compiled.n - 1);
    assert_int_equal(access_table_open(&table, buf_bytes(&compiled), &err), 0);
}

/* ---- against a plain table ---- */

#define MODEL_USERS 5
#define MODEL_RULES 12

static const char *const model_users[MODEL_USERS] = {"", "a", "b", "a-b", "c.d"};
/* Each column: the user that the word stands for, as a bit. */
static const struct {
    const char *word;
    unsigned users;
} model_whos[] = {
    {"anonymous", 1}, {"*", 30},   {"a", 2},       {"b", 4},    {"a-b", 8},
    {"@ab", 6},       {"@bc", 20}, {"@nobody", 0}, {"c.d", 16}, {"{user}", 30},
};

#define MODEL_WHOS (sizeof model_whos / sizeof *model_whos)

struct model_rule {
    char pattern[64];
    size_t who;
    unsigned rights;
};

static size_t
choose(size_t n)
{
    return (size_t)rand() % n;
}

static void
make_model_pattern(char out[64])
{
    static const char *const parts[] = {"a",  "b",  "*",   "**",  "?", "{user}", "ab*",
                                        "*b", "-b", "a-b", "c.d", "*", "**",     "a*b"};
    size_t n = 0;

    for (size_t i = 0, end = 1 + choose(4); i < end; i++)
        n += (size_t)snprintf(out + n, 64 - n, "%s%s", i > 0 && choose(3) > 0 ? "/" : "",
                              parts[choose(sizeof parts / sizeof *parts)]);
}

static bool
model_matches(const char *pattern, const char *user, const char *name)
{
    static struct glob g;
    struct err err;
    char text[256];
    size_t n = 0;

    for (const char *p = pattern; *p != '\0';) {
        bool mark = strncmp(p, "{user}", 6) == 0;

        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", mark ? 100 : 1, mark ? user : p);
        p += mark ? 6 : 1;
    }
    assert_int_equal(glob_compile(&g, bytes_str(text), &err), 0);
    return glob_match(&g, bytes_str(name));
}

static struct access_decision
decide_by_model(const struct model_rule *rules, size_t n, size_t user, const char *name)
{
    struct access_decision d = {0};

    for (size_t i = 0; i < n; i++) {
        bool anonymous = rules[i].who == 0;
        unsigned *first = anonymous ? &d.anonymous_line : &d.line;

        if (*first == 0 && (anonymous || (model_whos[rules[i].who].users >> user & 1) != 0) &&
            model_matches(rules[i].pattern, model_users[user], name)) {
            *first = (unsigned)i + 1;
            d.rights |= rules[i].rights;
        }
    }
    return d;
}

static void
write_model(const struct model_rule *rules, size_t n, struct buf *out)
{
    static const char *const verbs[] = {"pull", "create", "overwrite", "delete", "admin"};

    buf_reset(out);
    for (size_t i = 0; i < n; i++) {
        const char *comma = "";

        buf_putf(out, "%s %s ", rules[i].pattern, model_whos[rules[i].who].word);
        for (size_t v = 0; v < 5; v++)
            if ((rules[i].rights >> v & 1) != 0) {
                buf_putf(out, "%s%s", comma, verbs[v]);
                comma = ",";
            }
        buf_puts(out, rules[i].rights == 0 ? "none\n" : "\n");
    }
}

static void
decisions_are_those_of_a_plain_table(void **state)
{
    static const char *const names[] = {"a",     "b",       "ab",       "a/b",     "a/b/c",
                                        "a-b",   "a-b/ab",  "c.d/a-b",  "b/aab",   "b/a/a/b",
                                        "x/y/z", "aa-bb/b", "ab/ab/ab", "a/c.d/b", "a.b/b-b/c.d"};
    struct model_rule rules[MODEL_RULES];
    size_t decided = 0;
    struct buf text;

    (void)state;
    buf_init(&text, 10000);
    srand(17);
    for (int round = 0; round < 3000; round++) {
        size_t n = 1 + choose(MODEL_RULES);

        for (size_t i = 0; i < n; i++) {
            bool own;

            make_model_pattern(rules[i].pattern);
            own = strstr(rules[i].pattern, "{user}") != NULL;
            do
                rules[i].who = choose(MODEL_WHOS);
            while (own ? rules[i].who == 0 : rules[i].who == MODEL_WHOS - 1);
            rules[i].rights = (unsigned)choose(32);
        }
        write_model(rules, n, &text);
        with(buf_text(&text), "ab: a b\nbc: b\nnobody:\nbc: c.d\n", "");
        for (size_t u = 0; u < MODEL_USERS; u++)
            for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                struct access_decision model = decide_by_model(rules, n, u, names[i]);
                struct access_decision d = decide(model_users[u], names[i]);

                if (d.rights != model.rights || d.line != model.line ||
                    d.anonymous_line != model.anonymous_line)
                    fail_msg("user '%s', %s: %u by line %u and %u, and not %u by %u and %u:\n%s",
                             model_users[u], names[i], d.rights, d.line, d.anonymous_line,
                             model.rights, model.line, model.anonymous_line, buf_text(&text));
                decided += d.line > 0;
            }
    }
    assert_true(decided > 10000);
    buf_free(&text);
}

/* ---- many ---- */

#define MANY_RULES 10000
#define MANY_USERS 100000

static double
microseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* A hundred groups, and each user in three of them. */
static void
write_many_users(struct buf *groups, struct buf *users)
{
    for (int i = 0; i < MANY_USERS; i++) {
        buf_putf(users, "user-%d:$5$salt$%043d\n", i, i);
        buf_putf(groups, "g%04d: user-%d\ng%04d: user-%d\ng%04d: user-%d\n", i % 100, i,
                 i / 7 % 100, i, i / 1000, i);
    }
}

/* The text, with the number for each #. */
static void
put_numbered(struct buf *out, const char *text, int number)
{
    for (; *text != '\0'; text++)
        if (*text == '#')
            buf_putf(out, "%04d", number);
        else
            buf_putc(out, *text);
}

/* The mean of a decision. The time is much below the bound, which is for slow machines. */
static void
check_many(const char *what, const char *pattern, const char *who, const char *name)
{
    struct buf rules, groups, users;
    struct err err;
    double begin, each;

    buf_init(&rules, 10000000);
    buf_init(&groups, 10000000);
    buf_init(&users, 10000000);
    write_many_users(&groups, &users);
    for (int i = 0; i < MANY_RULES; i++) {
        put_numbered(&rules, pattern, i);
        buf_putc(&rules, ' ');
        put_numbered(&rules, who, i % 100);
        buf_puts(&rules, " pull\n");
    }
    begin = microseconds();
    with(buf_text(&rules), buf_text(&groups), buf_text(&users));
    print_message("%s: compiled in %.0f ms, %zu bytes", what, (microseconds() - begin) / 1000,
                  compiled.n);
    begin = microseconds();
    assert_int_equal(access_table_open(&table, buf_bytes(&compiled), &err), 0);
    print_message(", opened in %.1f ms", (microseconds() - begin) / 1000);
    begin = microseconds();
    for (int i = 0; i < 2000; i++) {
        char user[32];

        snprintf(user, sizeof user, "user-%d", i * 49);
        decide(user, name);
    }
    each = (microseconds() - begin) / 2000;
    print_message(", decided in %.2f us\n", each);
    assert_true(each < 2000);
    buf_free(&rules);
    buf_free(&groups);
    buf_free(&users);
}

static void
many_rules_and_users_are_no_burden(void **state)
{
    char digits[RECORD_REPOSITORY_MAX + 1] = "";

    (void)state;
    for (size_t n = 0, i = 0; n + 4 < sizeof digits; i += 7, n += 3)
        snprintf(digits + n, 4, "%03zu", i % 1000);
    check_many("first components", "team-#/**", "@g#", "team-9999/app/web");
    check_many("wildcards first", "*/app-#/**", "*", "team/app-9999/web");
    check_many("directories first", "**/*-#", "*", "team/app/web-9999");
    check_many("digits anywhere", "*#*", "*", digits);
    check_many("nothing but wildcards", "**", "@g#", "team/app/web");
    check_many("wildcards of others", "*?/**", "user-9#", "team/app/web");
    check_many("own namespaces", "{user}/x#", "{user}", "user-4900/x9999");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_rules_users_may_everything_and_others_nothing),
        TEST(rules_that_say_nothing_deny),
        TEST(the_first_line_that_matches_decides),
        TEST(a_right_on_all_repositories_is_one_of_the_first_lines),
        TEST(what_anonymous_clients_may_users_may_too),
        TEST(a_user_is_put_for_user_in_the_pattern),
        TEST(words_with_a_meaning_are_no_users),
        TEST(stars_mean_what_they_mean_in_other_patterns),
        TEST(the_longest_names_are_matched),
        TEST(a_stamp_changes_with_the_line),
        TEST(robots_expire),
        TEST(errors_name_file_line_and_word),
        TEST(there_are_bounds),
        TEST(damaged_bytes_are_refused),
        TEST(decisions_are_those_of_a_plain_table),
        TEST(many_rules_and_users_are_no_burden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
