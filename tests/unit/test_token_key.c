#include "store_fixture.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/access/token_key.h"
#include "util/clock.h"
#include "util/fdio.h"

static struct token_keys keys;
static const struct token_key *valid[2];

static void
the_key_is_made_once(void **state)
{
    struct fixture *f = *state;
    struct token_keys again;
    struct stat st;

    OK(f, token_keys_open(&keys, f->reg.dirfd, &f->err));
    OK(f, token_keys_open(&again, f->reg.dirfd, &f->err));
    assert_memory_equal(&keys.now, &again.now, sizeof keys.now);
    assert_int_equal(stat(TOKEN_KEY_NAME, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 64);
    assert_int_equal(token_keys_valid(&keys, f->reg.dirfd, valid), 1);
    assert_memory_equal(valid[0], &again.now, sizeof again.now);
    assert_int_equal(unlink(TOKEN_KEY_NAME), 0);
    OK(f, token_keys_open(&again, f->reg.dirfd, &f->err));
    assert_memory_not_equal(&keys.now, &again.now, sizeof keys.now);
    assert_int_equal(truncate(TOKEN_KEY_NAME, 63), 0);
    REFUSED(f, token_keys_open(&again, f->reg.dirfd, &f->err), ERR_CORRUPT);
}

static void
what_follows_from_the_key_differs_by_purpose_and_name(void **state)
{
    struct fixture *f = *state;
    uint8_t a[16], b[16];

    OK(f, token_keys_open(&keys, f->reg.dirfd, &f->err));
    assert_true(token_key_derive(&keys.now, "salt", "ann", a, sizeof a));
    assert_true(token_key_derive(&keys.now, "salt", "ann", b, sizeof b));
    assert_memory_equal(a, b, sizeof a);
    assert_true(token_key_derive(&keys.now, "salt", "bob", b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(token_key_derive(&keys.now, "other", "ann", b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
}

static void
a_process_follows_a_rotation(void **state)
{
    struct fixture *f = *state;
    struct token_keys started;
    struct token_key first;
    struct stat st;

    OK(f, token_keys_open(&keys, f->reg.dirfd, &f->err));
    first = keys.now;
    OK(f, token_keys_rotate(f->reg.dirfd, clock_wall_ms() / 1000 + 100, &f->err));
    assert_int_equal(stat(TOKEN_KEY_NAME, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(TOKEN_KEY_OLD_NAME, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(token_keys_valid(&keys, f->reg.dirfd, valid), 2);
    assert_memory_equal(valid[1], &first, sizeof first);
    assert_memory_not_equal(valid[0], &first, sizeof first);
    OK(f, token_keys_open(&started, f->reg.dirfd, &f->err));
    assert_memory_equal(&started.now, &keys.now, sizeof first);
    assert_memory_equal(&started.old, &keys.old, sizeof first);
    fixture_forward_ms(101 * UINT64_C(1000));
    assert_int_equal(token_keys_valid(&keys, f->reg.dirfd, valid), 1);
}

static void
the_second_rotation_ends_the_first_key(void **state)
{
    struct fixture *f = *state;
    struct token_key second;

    OK(f, token_keys_open(&keys, f->reg.dirfd, &f->err));
    OK(f, token_keys_rotate(f->reg.dirfd, UINT64_MAX, &f->err));
    assert_int_equal(token_keys_valid(&keys, f->reg.dirfd, valid), 2);
    second = keys.now;
    OK(f, token_keys_rotate(f->reg.dirfd, UINT64_MAX, &f->err));
    assert_int_equal(token_keys_valid(&keys, f->reg.dirfd, valid), 2);
    assert_memory_equal(valid[1], &second, sizeof second);
    OK(f, token_keys_rotate(f->reg.dirfd, 0, &f->err));
    assert_int_equal(token_keys_valid(&keys, f->reg.dirfd, valid), 1);
    assert_int_equal(access(TOKEN_KEY_OLD_NAME, F_OK), -1);
}

static void
what_cant_be_read_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct token_key first;

    REFUSED(f, token_keys_rotate(f->reg.dirfd, 0, &f->err), ERR_BAD_REQUEST);
    OK(f, token_keys_open(&keys, f->reg.dirfd, &f->err));
    first = keys.now;
    OK(f, fdio_replace_file(f->reg.dirfd, TOKEN_KEY_NAME, 0600, bytes_str("short"), &f->err));
    assert_int_equal(token_keys_valid(&keys, f->reg.dirfd, valid), 1);
    assert_memory_equal(valid[0], &first, sizeof first);
    REFUSED(f, token_keys_rotate(f->reg.dirfd, 0, &f->err), ERR_CORRUPT);
    assert_int_equal(unlink(TOKEN_KEY_NAME), 0);
    assert_int_equal(token_keys_valid(&keys, f->reg.dirfd, valid), 1);
    assert_memory_equal(valid[0], &first, sizeof first);
    /* A damaged old key is none. */
    OK(f, fdio_replace_file(f->reg.dirfd, TOKEN_KEY_OLD_NAME, 0600, bytes_str("short"), &f->err));
    OK(f, token_keys_open(&keys, f->reg.dirfd, &f->err));
    assert_int_equal(token_keys_valid(&keys, f->reg.dirfd, valid), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_files, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_key_is_made_once),
        TEST(what_follows_from_the_key_differs_by_purpose_and_name),
        TEST(a_process_follows_a_rotation),
        TEST(the_second_rotation_ends_the_first_key),
        TEST(what_cant_be_read_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
