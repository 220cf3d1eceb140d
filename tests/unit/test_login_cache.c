#include "store_fixture.h"
#include <stdio.h>
#include <string.h>
#include "domain/access/access.h"
#include "domain/access/login_cache.h"
#include "util/base64.h"
#include "util/clock.h"

static struct login_cache cache;

static int
setup_cache(void **state)
{
    struct fixture *f;

    if (fixture_files(state) != 0)
        return -1;
    f = *state;
    f->reg.login_cache = &cache;
    return login_cache_make(&cache, &f->err);
}

static int
end_cache(void **state)
{
    login_cache_close(&cache);
    return fixture_done(state);
}

static struct login
login(const char *user, const char *password)
{
    struct login l;

    snprintf(l.user, sizeof l.user, "%s", user);
    snprintf(l.password, sizeof l.password, "%s", password);
    return l;
}

static bool
is_remembered(struct fixture *f, const char *user, const char *password)
{
    struct login l = login(user, password);

    return login_cache_has(&f->reg, &l);
}

static void
remember(struct fixture *f, const char *user, const char *password)
{
    struct login l = login(user, password);

    login_cache_put(&f->reg, &l);
}

static void
what_nginx_found_right_is_remembered_for_a_while(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ann:$5$x\nbob:$5$y\n");
    assert_false(is_remembered(f, "ann", "secret"));
    remember(f, "ann", "secret");
    assert_true(is_remembered(f, "ann", "secret"));
    assert_false(is_remembered(f, "ann", "secre"));
    assert_false(is_remembered(f, "ann", ""));
    assert_false(is_remembered(f, "bob", "secret"));
    assert_false(is_remembered(f, "", "secret"));
    for (size_t i = 0; i < LOGIN_CACHE_SLOTS; i++) {
        uint64_t until = atomic_load(&cache.slots[i].until_ms);

        if (until == 0)
            continue;
        assert_in_range(until, clock_mono_ms() + LOGIN_CACHE_MS - 60000,
                        clock_mono_ms() + LOGIN_CACHE_MS);
        atomic_store(&cache.slots[i].until_ms, clock_mono_ms());
    }
    assert_false(is_remembered(f, "ann", "secret"));
}

static void
it_ends_with_the_password_and_the_user(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ann:$5$x\n");
    remember(f, "ann", "secret");
    fixture_users(f, "ann:$5$other\n");
    assert_false(is_remembered(f, "ann", "secret"));
    fixture_users(f, "bob:$5$x\n");
    assert_false(is_remembered(f, "ann", "secret"));
    fixture_users(f, "ann:$5$x\nbob:$5$x\n");
    assert_true(is_remembered(f, "ann", "secret"));
    remember(f, "eve", "secret"); /* there is no such user */
    fixture_users(f, "eve:$5$x\n");
    assert_false(is_remembered(f, "eve", "secret"));
    f->reg.login_cache = NULL;
    assert_false(is_remembered(f, "ann", "secret"));
}

/* Name and password don't run into each other. */
static void
the_border_between_name_and_password_counts(void **state)
{
    struct fixture *f = *state;

    fixture_users(f, "ab:$5$x\na:$5$x\n");
    remember(f, "ab", "c");
    assert_false(is_remembered(f, "a", "bc"));
}

static void
many_are_remembered_at_once(void **state)
{
    struct fixture *f = *state;
    char lines[20000] = "", name[16];
    size_t at = 0, there = 0;

    for (unsigned i = 0; i < 1000; i++)
        at += (size_t)snprintf(lines + at, sizeof lines - at, "u%u:$5$x\n", i);
    fixture_users(f, lines);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "u%u", i);
        remember(f, name, "p");
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "u%u", i);
        there += is_remembered(f, name, "p");
    }
    assert_in_range(there, 800, 1000); /* a slot has one entry */
}

/* ---- the header ---- */

static bool
parse_plain(struct login *l, const char *scheme, const char *plain, size_t n)
{
    char text[2000], header[2100];

    base64_encode(text, bytes_of(plain, n));
    snprintf(header, sizeof header, "%s%s", scheme, text);
    return login_cache_parse(l, header);
}

static void
credentials_are_read_as_nginx_reads_them(void **state)
{
    struct login l;
    char most[sizeof l.user + sizeof l.password + 1];

    (void)state;
    assert_true(parse_plain(&l, "Basic ", "ann:a:b c", 9));
    assert_string_equal(l.user, "ann");
    assert_string_equal(l.password, "a:b c");
    assert_true(parse_plain(&l, "bAsIc   ", "ann:x", 5));
    assert_string_equal(l.user, "ann");
    assert_true(parse_plain(&l, "Basic ", ":", 1));
    assert_string_equal(l.user, "");
    assert_string_equal(l.password, "");
    assert_false(parse_plain(&l, "Basic ", "ann", 3));
    assert_false(parse_plain(&l, "Basic", "ann:x", 5));
    assert_false(parse_plain(&l, "Bearer ", "ann:x", 5));
    assert_false(parse_plain(&l, "Basic ", "ann:x\0y", 7));
    assert_false(login_cache_parse(&l, ""));
    assert_false(login_cache_parse(&l, "Basic"));
    assert_false(login_cache_parse(&l, "Basic ?!"));
    memset(most, 'x', sizeof most);
    most[RECORD_ACTOR_MAX] = ':';
    assert_true(parse_plain(&l, "Basic ", most, RECORD_ACTOR_MAX + 1 + LOGIN_CACHE_PASSWORD_MAX));
    assert_false(parse_plain(&l, "Basic ", most, RECORD_ACTOR_MAX + 2 + LOGIN_CACHE_PASSWORD_MAX));
    most[RECORD_ACTOR_MAX] = 'x';
    most[RECORD_ACTOR_MAX + 1] = ':';
    assert_false(parse_plain(&l, "Basic ", most, RECORD_ACTOR_MAX + 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_cache, end_cache)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_nginx_found_right_is_remembered_for_a_while),
        TEST(it_ends_with_the_password_and_the_user),
        TEST(the_border_between_name_and_password_counts),
        TEST(many_are_remembered_at_once),
        cmocka_unit_test(credentials_are_read_as_nginx_reads_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
