#include "store_fixture.h"
#include <stdio.h>
#include <string.h>
#include "domain/access/access.h"
#include "domain/access/bearer.h"
#include "domain/access/token_key.h"
#include "util/clock.h"
#include "util/fdio.h"

static struct bearer made, read;
static char text[BEARER_TEXT_MAX];

static int
setup(void **state)
{
    int rc = fixture_tokens(state);

    memset(&made, 0, sizeof made);
    made.kind = BEARER_ACCESS;
    made.issued_s = clock_wall_ms() / 1000;
    made.expiry_s = made.issued_s + 600;
    return rc;
}

static void
make_for(struct fixture *f, const char *user)
{
    snprintf(made.user, sizeof made.user, "%s", user);
    OK(f, bearer_make(&f->reg, &made, text, &f->err));
}

static uint64_t
now_s(void)
{
    return clock_wall_ms() / 1000;
}

static int
check_as(struct fixture *f, enum bearer_kind kind)
{
    int rc = bearer_check(&f->reg, bytes_str(text), kind, now_s(), &read);

    assert_in_range(rc, 0, 1);
    return rc;
}

static bool
is_held(const char *repository, unsigned actions)
{
    return bearer_grants_hold(&read.grants, bytes_str(repository), actions);
}

static void
a_token_carries_its_user_and_access(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ann:$5$x\nb c\xc3\xa9:$5$y\n");
    assert_true(bearer_grants_add(&made.grants, bytes_str("a/b"), BEARER_PULL));
    assert_true(bearer_grants_add(&made.grants, bytes_str("c"), BEARER_DELETE));
    assert_true(bearer_grants_add(&made.grants, bytes_str("a/b"), BEARER_PUSH));
    assert_true(bearer_grants_add(&made.grants, bytes_str("all"), BEARER_ALL));
    made.grants.lists = true;
    make_for(f, "b c\xc3\xa9");
    assert_int_equal(
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
        strlen(text));
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    assert_string_equal(read.user, "b c\xc3\xa9");
    assert_int_equal(read.issued_s, made.issued_s);
    assert_int_equal(read.expiry_s, made.expiry_s);
    assert_int_equal(read.grants.n, 3);
    assert_true(read.grants.lists);
    assert_true(is_held("a/b", BEARER_PULL));
    assert_true(is_held("a/b", BEARER_PUSH));
    assert_false(is_held("a/b", BEARER_DELETE));
    assert_false(is_held("a/b", BEARER_ALL));
    assert_false(is_held("c", BEARER_PULL));
    assert_true(is_held("c", BEARER_DELETE));
    assert_true(is_held("all", BEARER_PULL));
    assert_true(is_held("all", BEARER_ALL));
    assert_false(is_held("a", BEARER_PULL));
    assert_false(is_held("a/bc", BEARER_PULL));
}

static void
a_changed_one_is_invalid(void **state)
{
    struct fixture *f = *state;
    char longer[BEARER_TEXT_MAX + 8];
    size_t n;

    fixture_users(f, "ann:$5$x\n");
    bearer_grants_add(&made.grants, bytes_str("a/b"), BEARER_PULL);
    make_for(f, "ann");
    n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            text[i] ^= (char)(1 << bit);
            assert_int_equal(
                bearer_check(&f->reg, bytes_of(text, n), BEARER_ACCESS, now_s(), &read), 0);
            text[i] ^= (char)(1 << bit);
        }
    }
    for (size_t less = 0; less < n; less++)
        assert_int_equal(bearer_check(&f->reg, bytes_of(text, less), BEARER_ACCESS, now_s(), &read),
                         0);
    snprintf(longer, sizeof longer, "%s=", text);
    assert_int_equal(bearer_check(&f->reg, bytes_str(longer), BEARER_ACCESS, now_s(), &read), 0);
    snprintf(longer, sizeof longer, "%sAAAA", text);
    assert_int_equal(bearer_check(&f->reg, bytes_str(longer), BEARER_ACCESS, now_s(), &read), 0);
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    f->keys.now.bytes[63] ^= 1;
    assert_int_equal(check_as(f, BEARER_ACCESS), 0);
}

static void
it_ends_when_its_time_is_over(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ann:$5$x\n");
    make_for(f, "ann");
    fixture_forward_ms(598 * UINT64_C(1000));
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    fixture_forward_ms(3 * UINT64_C(1000));
    assert_int_equal(check_as(f, BEARER_ACCESS), 0);
}

static void
it_ends_with_its_user_and_the_password(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ann:$5$x\nbob:$5$y\n");
    make_for(f, "ann");
    fixture_users(f, "bob:$5$y\nann:$5$x\n");
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    fixture_users(f, "bob:$5$y\n");
    assert_int_equal(check_as(f, BEARER_ACCESS), 0);
    fixture_users(f, "ann:$5$other\n");
    assert_int_equal(check_as(f, BEARER_ACCESS), 0);
    fixture_users(f, "ann:$5$x\n");
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    f->reg.users_trusted = true;
    assert_int_equal(check_as(f, BEARER_ACCESS), 0);
}

static void
it_ends_with_its_robot(void **state)
{
    struct fixture *f = *state;
    uint64_t end_s = made.issued_s + 300, wanted_s = made.expiry_s;
    char line[80];

    snprintf(line, sizeof line, "ci:$5$x:robot,expires=%llu\nann:$5$x\n",
             (unsigned long long)end_s);
    fixture_users(f, line);
    make_for(f, "ci");
    assert_int_equal(made.expiry_s, end_s);
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    assert_int_equal(read.expiry_s, end_s);
    made.expiry_s = made.issued_s + 60;
    make_for(f, "ci");
    assert_int_equal(made.expiry_s, made.issued_s + 60);
    made.expiry_s = wanted_s;
    make_for(f, "ann");
    assert_int_equal(made.expiry_s, wanted_s);
}

static void
it_outlives_its_key_for_a_time(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ann:$5$x\n");
    OK(f, token_keys_open(&f->keys, f->reg.dirfd, &f->err));
    make_for(f, "ann");
    OK(f, token_keys_rotate(f->reg.dirfd, clock_wall_ms() / 1000 + 300, &f->err));
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    fixture_forward_ms(301 * UINT64_C(1000));
    assert_int_equal(check_as(f, BEARER_ACCESS), 0);
    made.expiry_s += 600;
    make_for(f, "ann");
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    OK(f, token_keys_rotate(f->reg.dirfd, 0, &f->err));
    assert_int_equal(check_as(f, BEARER_ACCESS), 0);
}

static void
a_user_who_is_gone_gets_none(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ann:$5$x\n");
    snprintf(made.user, sizeof made.user, "bob");
    REFUSED(f, bearer_make(&f->reg, &made, text, &f->err), ERR_UNAUTHORIZED);
}

static void
a_kind_never_counts_as_the_other(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ann:$5$x\n");
    make_for(f, "ann");
    assert_int_equal(check_as(f, BEARER_REFRESH), 0);
    made.kind = BEARER_REFRESH;
    make_for(f, "ann");
    assert_int_equal(check_as(f, BEARER_REFRESH), 1);
    assert_int_equal(check_as(f, BEARER_ACCESS), 0);
    /* Not even with the kind exchanged: the signatures differ. */
    assert_int_equal(text[2], 'I');
    text[2] = 'E';
    assert_true(bearer_parse(&read, bytes_str(text)));
    assert_int_equal(read.kind, BEARER_ACCESS);
    assert_int_equal(check_as(f, BEARER_ACCESS), 0);
}

static void
anonymous_clients_have_tokens_too(void **state)
{
    struct fixture *f = *state;

    make_for(f, "");
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    assert_string_equal(read.user, "");
    fixture_users(f, "ann:$5$x\n");
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    made.kind = BEARER_REFRESH;
    make_for(f, "");
    assert_int_equal(check_as(f, BEARER_REFRESH), 0);
}

/* All that fits goes through, and the next is refused. */
static void
the_largest_token(void **state)
{
    struct fixture *f = *state;
    char names[BEARER_GRANTS_MAX + 1][RECORD_REPOSITORY_MAX + 1], user[RECORD_ACTOR_MAX + 1],
        line[200];
    size_t n;

    memset(user, 'u', RECORD_ACTOR_MAX);
    user[RECORD_ACTOR_MAX] = '\0';
    snprintf(line, sizeof line, "%s:$5$x\n", user);
    fixture_users(f, line);
    for (n = 0; n <= BEARER_GRANTS_MAX; n++) {
        snprintf(names[n], sizeof names[n], "team/%0250zu", n);
        if (!bearer_grants_add(&made.grants, bytes_str(names[n]), BEARER_ACTIONS))
            break;
    }
    assert_int_equal(n, BEARER_GRANTS_BYTES / (BEARER_GRANT_BYTES + 255));
    make_for(f, user);
    assert_in_range(strlen(text), 6500, 7500);
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    assert_int_equal(read.grants.n, n);
    assert_true(is_held(names[n - 1], BEARER_DELETE));

    memset(&made.grants, 0, sizeof made.grants);
    for (n = 0; n <= BEARER_GRANTS_MAX; n++) {
        snprintf(names[n], sizeof names[n], "r%zu", n);
        assert_int_equal(bearer_grants_add(&made.grants, bytes_str(names[n]), BEARER_PULL),
                         n < BEARER_GRANTS_MAX);
    }
    make_for(f, user);
    assert_int_equal(check_as(f, BEARER_ACCESS), 1);
    assert_int_equal(read.grants.n, BEARER_GRANTS_MAX);
}

static int
ask(struct fixture *f, const char *user, const char *repository, enum verb verb)
{
    const struct actor actor = {.user = user, .address = "192.0.2.1", .grants = &made.grants};

    return access_check(&f->reg, &actor, repository, verb, &f->err);
}

static void
access_is_bounded_by_a_token(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ann:$5$x\n");
    bearer_grants_add(&made.grants, bytes_str("a/b"), BEARER_PULL | BEARER_PUSH);
    bearer_grants_add(&made.grants, bytes_str("all"), BEARER_ALL);
    OK(f, ask(f, "ann", NULL, VERB_PUBLIC));
    OK(f, ask(f, "ann", NULL, VERB_LOGIN));
    REFUSED(f, ask(f, "ann", NULL, VERB_LIST), ERR_UNAUTHORIZED);
    OK(f, ask(f, "ann", "a/b", VERB_PULL));
    OK(f, ask(f, "ann", "a/b", VERB_PUSH));
    REFUSED(f, ask(f, "ann", "a/b", VERB_DELETE), ERR_UNAUTHORIZED);
    REFUSED(f, ask(f, "ann", "a/b", VERB_ADMIN), ERR_UNAUTHORIZED);
    REFUSED(f, ask(f, "ann", "a/c", VERB_PULL), ERR_UNAUTHORIZED);
    REFUSED(f, ask(f, "ann", NULL, VERB_PULL), ERR_UNAUTHORIZED);
    OK(f, ask(f, "ann", "all", VERB_DELETE));
    OK(f, ask(f, "ann", "all", VERB_ADMIN));
    /* A token gives nothing that its user may not do. */
    REFUSED(f, ask(f, "", "a/b", VERB_PULL), ERR_UNAUTHORIZED);
    made.grants.lists = true;
    OK(f, ask(f, "ann", NULL, VERB_LIST));
}

static void
what_is_no_bearer(void **state)
{
    static const char *const bad[] = {
        "",
        "A",
        "AQE",
        "AQEAAAAAAAAAAAAAAAAAAAAAAAAA",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIifQ.AAAA",
        "anon.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQEAAAAA awxzTQ",
        "AQEAAAAA+wxzTQ",
    };
    struct fixture *f = *state;
    static char huge[BEARER_TEXT_MAX + 100];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(bearer_parse(&read, bytes_str(bad[i])));
    memset(huge, 'A', sizeof huge);
    assert_false(bearer_parse(&read, bytes_of(huge, sizeof huge)));
    assert_int_equal(
        bearer_check(&f->reg, bytes_of(huge, sizeof huge), BEARER_ACCESS, now_s(), &read), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_carries_its_user_and_access),
        TEST(a_changed_one_is_invalid),
        TEST(it_ends_when_its_time_is_over),
        TEST(it_ends_with_its_user_and_the_password),
        TEST(it_ends_with_its_robot),
        TEST(it_outlives_its_key_for_a_time),
        TEST(a_user_who_is_gone_gets_none),
        TEST(a_kind_never_counts_as_the_other),
        TEST(anonymous_clients_have_tokens_too),
        TEST(the_largest_token),
        TEST(access_is_bounded_by_a_token),
        TEST(what_is_no_bearer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
