#include "store_fixture.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/access/access.h"

static int
ask(struct fixture *f, const char *user, enum verb verb)
{
    const struct actor actor = {.user = user, .address = "192.0.2.1"};
    return access_check(&f->reg, &actor, "a/b", verb, &f->err);
}

static void
without_users_everybody_may(void **state)
{
    struct fixture *f = *state;
    OK(f, ask(f, "", VERB_PUBLIC));
    OK(f, ask(f, "", VERB_PUSH));
    assert_false(access_users_exist(&f->reg));
}

static void
with_users_a_name_is_needed(void **state)
{
    struct fixture *f = *state;
    f->reg.users_given = true;
    OK(f, ask(f, "", VERB_PUBLIC));
    REFUSED(f, ask(f, "", VERB_PULL), ERR_UNAUTHORIZED);
    OK(f, ask(f, "ann", VERB_PUSH));
}

/* Whatever the site around us forgot: nobody comes in without a name. */
static void
with_trusted_users_a_name_is_needed(void **state)
{
    struct fixture *f = *state;
    f->reg.users_trusted = true;
    assert_true(access_users_exist(&f->reg));
    OK(f, ask(f, "", VERB_PUBLIC));
    REFUSED(f, ask(f, "", VERB_LOGIN), ERR_UNAUTHORIZED);
    REFUSED(f, ask(f, "", VERB_PULL), ERR_UNAUTHORIZED);
    REFUSED(f, ask(f, "", VERB_PUSH), ERR_UNAUTHORIZED);
    assert_string_not_equal(f->err.message, "authentication required");
    OK(f, ask(f, "ann", VERB_PUSH));
}

/* Two long ones might be one in a record. */
static void
names_that_can_not_be_recorded_are_refused(void **state)
{
    struct fixture *f = *state;
    char name[RECORD_ACTOR_MAX + 2];
    f->reg.users_trusted = true;
    memset(name, 'n', sizeof name);
    name[RECORD_ACTOR_MAX + 1] = '\0';
    REFUSED(f, ask(f, name, VERB_PULL), ERR_DENIED);
    name[RECORD_ACTOR_MAX] = '\0';
    OK(f, ask(f, name, VERB_PULL));
    OK(f, ask(f, "CN=J\xc3\xb6rg, O=X", VERB_PULL));
    REFUSED(f, ask(f, "a\nb", VERB_PULL), ERR_DENIED);
    REFUSED(f, ask(f, "\x7f", VERB_PULL), ERR_DENIED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_files, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_users_everybody_may),
        TEST(with_users_a_name_is_needed),
        TEST(with_trusted_users_a_name_is_needed),
        TEST(names_that_can_not_be_recorded_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
