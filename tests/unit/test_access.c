#include "store_fixture.h"
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "util/clock.h"
#include "util/fdio.h"

/* A busy machine may let one process run for seconds before the other. */
#define BOTH_SEEN_MS 20000

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

/* ---- rules ---- */

static unsigned
rights(struct fixture *f, const char *user, const char *repository)
{
    const struct actor actor = {.user = user, .address = "192.0.2.1"};

    return access_rights(&f->reg, &actor, repository);
}

static int
ask_for(struct fixture *f, const char *user, const char *repository, enum verb verb)
{
    const struct actor actor = {.user = user, .address = "192.0.2.1"};

    return access_check(&f->reg, &actor, repository, verb, &f->err);
}

static void
rules_decide_for_users_and_strangers(void **state)
{
    struct fixture *f = *state;

    fixture_rules(f,
                  "team/** @devs pull,push\n"
                  "team/** ci pull,create\n"
                  "public/** anonymous pull\n",
                  "devs: ann bob\n", NULL);
    assert_true(access_users_exist(&f->reg));
    assert_int_equal(rights(f, "ann", "team/a"), RIGHT_PULL | RIGHT_PUSH);
    assert_int_equal(rights(f, "ci", "team/a"), RIGHT_PULL | RIGHT_CREATE);
    assert_int_equal(rights(f, "eve", "team/a"), 0);
    assert_int_equal(rights(f, "eve", "public/x"), RIGHT_PULL);
    assert_int_equal(rights(f, "", "public/x"), RIGHT_PULL);
    OK(f, ask_for(f, "ci", "team/a", VERB_PUSH));
    REFUSED(f, ask_for(f, "ci", "team/a", VERB_DELETE), ERR_DENIED);
    REFUSED(f, ask_for(f, "", "team/a", VERB_PULL), ERR_UNAUTHORIZED);
    OK(f, ask_for(f, "", "public/x", VERB_PULL));
    REFUSED(f, ask_for(f, "", "public/x", VERB_PUSH), ERR_UNAUTHORIZED);
    REFUSED(f, ask_for(f, "", NULL, VERB_LOGIN), ERR_UNAUTHORIZED);
    OK(f, ask_for(f, "", NULL, VERB_LIST));
    OK(f, ask_for(f, "eve", NULL, VERB_LOGIN));
    OK(f, ask_for(f, "eve", NULL, VERB_LIST));
    OK(f, ask_for(f, "ann", NULL, VERB_PUSH));
    REFUSED(f, ask_for(f, "eve", NULL, VERB_PUSH), ERR_DENIED);
}

/* Else the words would tell whether it exists. */
static void
a_refusal_does_not_name_the_repository(void **state)
{
    struct fixture *f = *state;
    char first[ERR_MESSAGE_MAX];

    fixture_rules(f, "", NULL, NULL);
    REFUSED(f, ask_for(f, "ann", "secret/one", VERB_PULL), ERR_DENIED);
    snprintf(first, sizeof first, "%s", f->err.message);
    REFUSED(f, ask_for(f, "ann", "none/two", VERB_PULL), ERR_DENIED);
    assert_string_equal(f->err.message, first);
    REFUSED(f, ask_for(f, "", NULL, VERB_LIST), ERR_UNAUTHORIZED);
}

static void
without_rules_strangers_may_pull_if_they_are_allowed_to(void **state)
{
    struct fixture *f = *state;

    f->reg.users_given = true;
    f->reg.anonymous_pull = true;
    OK(f, ask(f, "", VERB_PULL));
    OK(f, ask(f, "", VERB_LIST));
    REFUSED(f, ask(f, "", VERB_LOGIN), ERR_UNAUTHORIZED);
    REFUSED(f, ask(f, "", VERB_PUSH), ERR_UNAUTHORIZED);
    OK(f, ask(f, "ann", VERB_PUSH));
}

static void
changed_rules_count_at_the_next_look(void **state)
{
    struct fixture *f = *state;

    fixture_rules(f, "** ann pull\n", NULL, NULL);
    assert_int_equal(rights(f, "ann", "a"), RIGHT_PULL);
    fixture_rules(f, "** ann all\n", NULL, NULL);
    assert_int_equal(rights(f, "ann", "a"), RIGHT_ALL);
    OK(f, access_file_remove(f->reg.dirfd, &f->err));
    access_look(&f->reg);
    assert_false(access_users_exist(&f->reg));
}

/* The master removes the file when the last user has gone, while workers look. */
static void
a_file_that_comes_and_goes_is_there_or_not(void **state)
{
    struct fixture *f = *state;
    uint64_t until = clock_mono_ms() + BOTH_SEEN_MS;
    unsigned looks = 0, there = 0, missing = 0;
    pid_t child;

    fixture_rules(f, "** ann pull\n", NULL, NULL);
    assert_int_equal(renameat(f->reg.dirfd, ACCESS_FILE_NAME, f->reg.dirfd, "ready"), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        while (linkat(f->reg.dirfd, "ready", f->reg.dirfd, ACCESS_FILE_NAME, 0) == 0 &&
               unlinkat(f->reg.dirfd, ACCESS_FILE_NAME, 0) == 0)
            ;
        _exit(1);
    }
    do {
        access_look(&f->reg);
        if (f->access.is_there)
            there++;
        else
            missing++;
        if (f->access.is_there != f->access.is_usable)
            break;
        looks++;
    } while (looks < 100000 || ((there == 0 || missing == 0) && clock_mono_ms() < until));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(there + missing, looks);
    assert_true(there > 0 && missing > 0);
}

static void
rules_that_can_not_be_read_give_nobody_a_right(void **state)
{
    struct fixture *f = *state;

    fixture_rules(f, "** ann all\n", NULL, NULL);
    OK(f, fdio_replace_file(f->reg.dirfd, ACCESS_FILE_NAME, 0600, bytes_str("rubbish"), &f->err));
    access_look(&f->reg);
    assert_int_equal(rights(f, "ann", "a"), 0);
    assert_int_equal(rights(f, "", "a"), 0);
    OK(f, access_file_remove(f->reg.dirfd, &f->err));
    f->reg.rules_given = true;
    access_look(&f->reg);
    assert_int_equal(rights(f, "ann", "a"), 0);
}

/* ---- skipping ---- */

static const char *const PARTS[] = {"a",  "ann", "ann-1", "ann.b", "ann_b", "anna",
                                    "b0", "bob", "team",  "team0", "z"};
#define PARTS_N (sizeof PARTS / sizeof *PARTS)

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names of one and of two components, sorted. */
static size_t
make_names(char names[][32])
{
    size_t n = 0;

    for (size_t i = 0; i < PARTS_N; i++) {
        snprintf(names[n++], 32, "%s", PARTS[i]);
        for (size_t k = 0; k < PARTS_N; k++)
            snprintf(names[n++], 32, "%s/%s", PARTS[i], PARTS[k]);
    }
    qsort(names, n, 32, compare_names);
    return n;
}

/* Walks as a list does, and counts the names at which it has to decide. */
static void
skipping_misses_no_name(void **state)
{
    static const char *const RULES[] = {
        "team/* ann pull\n",
        "ann ann pull\nann/** ann pull\n",
        "{user}/** {user} pull\n",
        "{user} {user} pull\n",
        "{user}* ann pull\n",
        "z/z ann pull\nz/a * pull\na/b0 anonymous pull\n",
        "**/team ann pull\n",
        "ann/b0 ann none\nann/* ann pull\nb?? ann pull\n",
        "team/* bob pull\n",
        "** ann push\n",
        "",
    };
    struct fixture *f = *state;
    const struct actor ann = {.user = "ann", .address = ""};
    char names[PARTS_N * (PARTS_N + 1)][32];
    size_t n = make_names(names), decided = 0;

    for (size_t r = 0; r < sizeof RULES / sizeof *RULES; r++) {
        char after[RECORD_REPOSITORY_MAX + 1] = "";
        size_t seen = 0, want = 0;

        fixture_rules(f, RULES[r], NULL, NULL);
        for (size_t i = 0; i < n; i++)
            want += (rights(f, "ann", names[i]) & RIGHT_PULL) != 0;
        for (size_t i = 0; access_skip(&f->reg, &ann, after); i++, decided++) {
            while (i < n && strcmp(names[i], after) <= 0)
                i++;
            if (i == n)
                break;
            snprintf(after, sizeof after, "%s", names[i]);
            seen += (rights(f, "ann", names[i]) & RIGHT_PULL) != 0;
        }
        assert_int_equal(seen, want);
    }
    assert_in_range(decided, n, 3 * n); /* one of the rules begins with a wildcard */
}

static void
an_import_may_do_everything(void **state)
{
    struct fixture *f = *state;
    const struct actor import = {.user = "", .address = "", .quiet = true};

    fixture_rules(f, "", NULL, NULL);
    assert_int_equal(access_rights(&f->reg, &import, "a"), RIGHT_ALL);
    assert_true(access_everywhere(&f->reg, &import, RIGHT_PULL));
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
        TEST(rules_decide_for_users_and_strangers),
        TEST(a_refusal_does_not_name_the_repository),
        TEST(without_rules_strangers_may_pull_if_they_are_allowed_to),
        TEST(changed_rules_count_at_the_next_look),
        TEST(a_file_that_comes_and_goes_is_there_or_not),
        TEST(rules_that_can_not_be_read_give_nobody_a_right),
        TEST(an_import_may_do_everything),
        TEST(skipping_misses_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
