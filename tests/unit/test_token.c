#include "store_fixture.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/access/access_file.h"
#include "domain/access/token.h"
#include "domain/access/token_key.h"
#include "util/clock.h"
#include "util/fdio.h"

static char made[TOKEN_TEXT_MAX];
static char whose[RECORD_ACTOR_MAX + 1];

static int
check(struct fixture *f, const char *text)
{
    int r = token_check(&f->reg, bytes_str(text), clock_wall_ms() / 1000, whose);
    assert_in_range(r, 0, 1);
    return r;
}

static void
make(struct fixture *f, const char *user)
{
    OK(f, token_make(&f->reg, user, made, &f->err));
}

#define MAC "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void
the_form_is_the_originals(void **state)
{
    struct fixture *f = *state;
    struct token t;
    make(f, TOKEN_ANYBODY);
    assert_true(token_parse(&t, bytes_str(made)));
    assert_true(bytes_equal(t.user, bytes_str("anon")));
    assert_in_range(t.expiry, clock_wall_ms() / 1000 + 6 * 3600 - 5,
                    clock_wall_ms() / 1000 + 6 * 3600);
    assert_int_equal(t.mac.n, 43);
    assert_null(strchr(made, '='));
}

/* python3: hmac.new(bytes(range(64)), b"anon.<expiry>", "sha256") */
static void
without_users_it_is_signed_with_the_key_alone(void **state)
{
    struct fixture *f = *state;
    struct digest_state *s = digest_begin(DIGEST_SHA256);
    struct digest inner, outer;
    uint8_t pad[64];
    char mac[BASE64_TEXT(32)];
    struct token t;
    make(f, TOKEN_ANYBODY);
    assert_true(token_parse(&t, bytes_str(made)));
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] = (uint8_t)(i ^ 0x36);
    digest_update(s, pad, sizeof pad);
    digest_update(s, t.head.p, t.head.n);
    digest_end(s, &inner);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] = (uint8_t)(i ^ 0x5c);
    s = digest_begin(DIGEST_SHA256);
    digest_update(s, pad, sizeof pad);
    digest_update(s, inner.bytes, 32);
    digest_end(s, &outer);
    base64_encode(mac, bytes_of(outer.bytes, 32));
    assert_true(bytes_equal(t.mac, bytes_str(mac)));
    assert_int_equal(check(f, made), 0); /* nobody is named by it: there are no users */
}

static void
a_token_names_its_user(void **state)
{
    struct fixture *f = *state;
    fixture_users(f, "ann:$5$x\nb.o.b:$5$y\n c d\xc3\xa9 :$5$z\n");
    const char *const users[] = {"ann", "b.o.b", " c d\xc3\xa9 "};
    for (size_t i = 0; i < 3; i++) {
        make(f, users[i]);
        assert_int_equal(check(f, made), 1);
        assert_string_equal(whose, users[i]);
    }
}

static void
a_forged_one_names_nobody(void **state)
{
    struct fixture *f = *state;
    fixture_users(f, "ann:$5$x\nbob:$5$x\nann.1:$5$x\n");
    make(f, "ann");
    for (size_t i = 0; made[i] != '\0'; i++) {
        char was = made[i];
        made[i] = was == '0' ? '1' : '0';
        assert_int_equal(check(f, made), 0);
        made[i] = was;
    }
    for (size_t n = strlen(made); n-- > 0;)
        assert_int_equal(token_check(&f->reg, bytes_of(made, n), clock_wall_ms() / 1000, whose), 0);
    char longer[TOKEN_TEXT_MAX + 2];
    snprintf(longer, sizeof longer, "%s=", made);
    assert_int_equal(check(f, longer), 0);
    snprintf(longer, sizeof longer, "bob%s", made + 3);
    assert_int_equal(check(f, longer), 0);
    assert_int_equal(check(f, made), 1);
    f->keys.now.bytes[63] ^= 1;
    assert_int_equal(check(f, made), 0);
}

static void
it_lives_six_hours(void **state)
{
    struct fixture *f = *state;
    fixture_users(f, "ann:$5$x\n");
    make(f, "ann");
    fixture_forward_ms((6 * 3600 - 60) * UINT64_C(1000));
    assert_int_equal(check(f, made), 1);
    fixture_forward_ms(61 * UINT64_C(1000));
    assert_int_equal(check(f, made), 0);
}

static void
it_ends_with_its_user_and_his_password(void **state)
{
    struct fixture *f = *state;
    fixture_users(f, "ann:$5$x\nbob:$5$y\n");
    make(f, "ann");
    fixture_users(f, "bob:$5$y\nann:$5$x\ncarl:$5$z\n");
    assert_int_equal(check(f, made), 1);
    fixture_users(f, "bob:$5$y\n");
    assert_int_equal(check(f, made), 0);
    fixture_users(f, "ann:$5$other\nbob:$5$y\n");
    assert_int_equal(check(f, made), 0);
    fixture_users(f, "ann:$5$x\n");
    assert_int_equal(check(f, made), 1);
    OK(f, access_file_remove(f->reg.dirfd, &f->err));
    access_look(&f->reg);
    assert_int_equal(check(f, made), 0);
}

/* Given out when there were no users, to anybody; or by a server whose users were the site's. */
static void
one_from_before_there_were_users_names_nobody(void **state)
{
    struct fixture *f = *state;
    make(f, TOKEN_ANYBODY);
    fixture_users(f, "ann:$5$x\n");
    assert_int_equal(check(f, made), 0);
    fixture_users(f, "anon:$5$x\n");
    assert_int_equal(check(f, made), 0);
    f->reg.users_trusted = true;
    make(f, "anon");
    assert_int_equal(check(f, made), 0);
    f->reg.users_trusted = false;
    assert_int_equal(check(f, made), 0);
}

static void
what_is_no_token(void **state)
{
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "...",
        "a.1.",
        "a.1." MAC "A",
        "a.1.A",
        ".1." MAC,
        "a..." MAC,
        "a.." MAC,
        "a.x." MAC,
        "a.-1." MAC,
        "a.+1." MAC,
        "a. 1." MAC,
        "a.1 ." MAC,
        "a." MAC,
        MAC,
        "a.18446744073709551616." MAC,
        "signature=\"x\",repository=\"a/b\",access=write",
    };
    struct fixture *f = *state;
    char name[RECORD_ACTOR_MAX + 2], text[TOKEN_TEXT_MAX + 10];
    struct token t;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(token_parse(&t, bytes_str(bad[i])));
        assert_int_equal(check(f, bad[i]), 0);
    }
    assert_false(token_parse(&t, bytes_of("a\0b.1." MAC, 6 + 43)));
    assert_true(token_parse(&t, bytes_str("a.18446744073709551615." MAC)));
    memset(name, 'n', sizeof name);
    name[RECORD_ACTOR_MAX + 1] = '\0';
    snprintf(text, sizeof text, "%s.1." MAC, name);
    assert_false(token_parse(&t, bytes_str(text)));
    assert_true(token_parse(&t, bytes_str(text + 1)));
}

static void
the_longest_name_has_one(void **state)
{
    struct fixture *f = *state;
    char name[RECORD_ACTOR_MAX + 1], lines[RECORD_ACTOR_MAX + 10];
    memset(name, 'n', sizeof name);
    name[RECORD_ACTOR_MAX] = '\0';
    snprintf(lines, sizeof lines, "%s:$5$x\n", name);
    fixture_users(f, lines);
    make(f, name);
    assert_int_equal(check(f, made), 1);
    assert_string_equal(whose, name);
}

static void
a_rotated_key_stays_valid_for_a_time(void **state)
{
    struct fixture *f = *state;
    char old[TOKEN_TEXT_MAX];

    fixture_users(f, "ann:$5$x\n");
    OK(f, token_keys_open(&f->keys, f->reg.dirfd, &f->err));
    make(f, "ann");
    snprintf(old, sizeof old, "%s", made);
    OK(f, token_keys_rotate(f->reg.dirfd, clock_wall_ms() / 1000 + 60, &f->err));
    assert_int_equal(check(f, old), 1);
    make(f, "ann");
    assert_string_not_equal(made, old);
    fixture_forward_ms(61 * UINT64_C(1000));
    assert_int_equal(check(f, old), 0);
    assert_int_equal(check(f, made), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_tokens, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_form_is_the_originals),
        TEST(without_users_it_is_signed_with_the_key_alone),
        TEST(a_token_names_its_user),
        TEST(a_forged_one_names_nobody),
        TEST(it_lives_six_hours),
        TEST(it_ends_with_its_user_and_his_password),
        TEST(one_from_before_there_were_users_names_nobody),
        TEST(what_is_no_token),
        TEST(the_longest_name_has_one),
        TEST(a_rotated_key_stays_valid_for_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
