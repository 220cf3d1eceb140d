#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/core/chain_id.h"
#include "store_fixture.h"

/* sha256 of "a", "b" and "c", and their chain, computed with sha256sum. */
#define A "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
#define B "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
#define C "sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"
#define AB "sha256:51c0c8ace48498d6f5fee6b0592cc06f2da0f3cbe09c5a34a97dce85c3889676"
#define ABC "sha256:2fce7f8ce91bcf0a1428b36e1024639fdbd9469eea762dba98aa749631885106"
#define CONFIG(diffs) "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" diffs "]}}"

static int
parse(struct fixture *f, const char *config, size_t n, struct digest **chain)
{
    return chain_id_parse(bytes_str(config), n, &f->arena, chain, &f->err);
}

static void
each_layer_is_called_with_all_below_it(void **state)
{
    static const char *const want[] = {A, AB, ABC};
    struct fixture *f = *state;
    struct digest *chain;
    char text[DIGEST_TEXT_MAX];

    assert_int_equal(parse(f, CONFIG("\"" A "\",\"" B "\",\"" C "\""), 3, &chain), 1);
    for (int i = 0; i < 3; i++) {
        digest_text(text, &chain[i]);
        assert_string_equal(text, want[i]);
    }
    assert_int_equal(parse(f, CONFIG(""), 0, &chain), 1);
    assert_int_equal(parse(f, "{\"rootfs\":{\"type\":\"layers\"}}", 0, &chain), 1);
    assert_int_equal(parse(f, "{\"rootfs\":{\"diff_ids\":null}}", 0, &chain), 1);
    assert_int_equal(parse(f, "{}", 0, &chain), 1);
    assert_int_equal(parse(f, "[]", 0, &chain), 0);
    assert_int_equal(parse(f, "{\"rootfs\":{\"diff_ids\":7}}", 0, &chain), 0);
}

static void
what_is_no_config_of_that_image_has_none(void **state)
{
    static const char *const configs[] = {
        "",
        "{",
        "[]",
        "7",
        "{}",
        "{\"rootfs\":7}",
        "{\"rootfs\":{\"diff_ids\":7}}",
        "{\"rootfs\":{\"diff_ids\":{\"a\":\"" A "\"}}}",
        CONFIG(""),
        CONFIG("\"" A "\",\"" B "\""),
        CONFIG("7"),
        CONFIG("null"),
        CONFIG("\"a\""),
        CONFIG("\"sha256:AB\""),
        CONFIG("\"md5:d41d8cd98f00b204e9800998ecf8427e\""),
        CONFIG("\"" A "\\u0000\""),
        CONFIG("\" " A "\""),
    };
    struct fixture *f = *state;
    struct digest *chain;

    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++)
        if (parse(f, configs[i], 1, &chain) != 0)
            fail_msg("%s", configs[i]);
}

static void
deep_and_long_ones_have_none(void **state)
{
    struct fixture *f = *state;
    struct digest *chain;
    struct buf b;

    buf_init(&b, 1u << 20);
    buf_puts(&b, "{\"x\":");
    for (int i = 0; i < 100; i++)
        buf_puts(&b, "[");
    for (int i = 0; i < 100; i++)
        buf_puts(&b, "]");
    buf_puts(&b, ",\"rootfs\":{\"diff_ids\":[\"" A "\"]}}");
    assert_int_equal(parse(f, buf_text(&b), 1, &chain), 0);

    for (size_t n = CHAIN_ID_LAYERS_MAX; n <= CHAIN_ID_LAYERS_MAX + 1; n++) {
        buf_reset(&b);
        buf_puts(&b, "{\"rootfs\":{\"diff_ids\":[\"" A "\"");
        for (size_t i = 1; i < n; i++)
            buf_puts(&b, ",\"" B "\"");
        buf_puts(&b, "]}}");
        assert_int_equal(parse(f, buf_text(&b), n, &chain), n == CHAIN_ID_LAYERS_MAX);
    }
    buf_free(&b);
}

static void
the_config_is_read_from_the_store(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", CONFIG("\"" A "\",\"" B "\""));
    struct digest gone = fixture_digest("gone");
    struct digest *chain;
    char text[DIGEST_TEXT_MAX];

    assert_int_equal(chain_id_read(&f->reg, &config, 2, &f->arena, &chain, &f->err), 1);
    digest_text(text, &chain[1]);
    assert_string_equal(text, AB);
    assert_int_equal(chain_id_read(&f->reg, &config, 3, &f->arena, &chain, &f->err), 0);
    assert_int_equal(chain_id_read(&f->reg, &gone, 2, &f->arena, &chain, &f->err), 0);
}

static void
a_config_that_is_too_large_is_not_read(void **state)
{
    struct fixture *f = *state;
    size_t n = strlen(CONFIG("\"" A "\""));
    struct digest config, *chain;
    char *text;

    for (size_t size = CHAIN_ID_CONFIG_MAX; size <= CHAIN_ID_CONFIG_MAX + 1; size++) {
        text = malloc(size + 1);
        assert_non_null(text);
        memset(text, ' ', size);
        memcpy(text, CONFIG("\"" A "\""), n);
        text[size] = '\0';
        config = fixture_blob(f, "a/b", text);
        free(text);
        assert_int_equal(chain_id_read(&f->reg, &config, 1, &f->arena, &chain, &f->err),
                         size == CHAIN_ID_CONFIG_MAX);
    }
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_files, fixture_done)
#define STORE(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_layer_is_called_with_all_below_it),
        TEST(what_is_no_config_of_that_image_has_none),
        TEST(deep_and_long_ones_have_none),
        STORE(the_config_is_read_from_the_store),
        STORE(a_config_that_is_too_large_is_not_read),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
