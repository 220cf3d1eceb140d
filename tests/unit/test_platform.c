#include <string.h>
#include "domain/core/config.h"
#include "domain/core/platform.h"
#include "domain/core/repository.h"
#include "store_fixture.h"
#include "util/buf.h"

/* The system tests ask from outside which image is chosen; these are cases that they can't easily
 * make. */

static void
platforms_have_two_or_three_parts(void **state)
{
    static const char *const bad[] = {
        "",        "linux",        "linux/", "/amd64", "a//b",    "a/b/", "a/b/c/",
        "a/b/c/d", "linux/am d64", "a/b\n",  "a/\xc3", "a\x7f/b", "/",    "//"};
    struct fixture *f = *state;
    struct platform p;
    char text[200] = "linux/";

    OK(f, platform_parse(&p, "linux/arm/v7", &f->err));
    assert_string_equal(p.os, "linux");
    assert_string_equal(p.architecture, "arm");
    assert_string_equal(p.variant, "v7");
    OK(f, platform_parse(&p, "linux/amd64", &f->err));
    assert_string_equal(p.variant, "");
    OK(f, platform_parse(&p, "Linux/AARCH64/v8", &f->err));
    assert_string_equal(p.os, "linux");
    assert_string_equal(p.architecture, "arm64");
    assert_string_equal(p.variant, "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        REFUSED(f, platform_parse(&p, bad[i], &f->err), ERR_BAD_REQUEST);
    memset(text + 6, 'a', 63);
    OK(f, platform_parse(&p, text, &f->err));
    text[6 + 63] = 'a';
    REFUSED(f, platform_parse(&p, text, &f->err), ERR_BAD_REQUEST);
}

static struct digest
push(struct fixture *f, const char *document, const char *type)
{
    struct push p;

    OK(f, fixture_push(f, "a", NULL, document, type, &p));
    return p.digest;
}

static int
find(struct fixture *f, const struct digest *d, const char *want, struct platform_image *out)
{
    struct platform p;
    struct rec_repo repo;

    OK(f, repository_need(&f->reg, "a", &repo, &f->err));
    if (want != NULL)
        OK(f, platform_parse(&p, want, &f->err));
    return platform_find(&f->reg, repo.id, d, want != NULL ? &p : NULL, &f->arena, out, &f->err);
}

/* Indexes in indexes, the innermost with what is no image: no matter how many, it ends. */
static void
what_leads_nowhere_is_no_image(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a", "{}"), layer = fixture_blob(f, "a", "layer");
    struct digest d = push(f, fixture_image(f, &config, &layer, ""), OCI_IMAGE), none;
    struct platform_image out;

    REFUSED(f, find(f, &d, NULL, &out), ERR_NO_IMAGE);
    for (int i = 0; i < 8; i++) {
        d = push(f, fixture_index(f, &d), OCI_INDEX);
        REFUSED(f, find(f, &d, NULL, &out), ERR_NO_IMAGE);
        REFUSED(f, find(f, &d, "linux/amd64", &out), ERR_NO_IMAGE);
    }
    none = fixture_digest("nothing");
    REFUSED(f, find(f, &none, NULL, &out), ERR_NO_MANIFEST);
}

static int
read_config(struct fixture *f, const char *text)
{
    struct digest d = text != NULL ? fixture_blob(f, "a", text) : fixture_digest("nothing");
    struct bytes config;
    struct json *doc;
    int rc = config_read(&f->reg, &d, &f->arena, &config, &doc, &f->err);

    assert_true(bytes_equal(config, bytes_str(text != NULL ? text : "")));
    if (rc == 1)
        json_free(doc);
    return rc;
}

static void
a_config_is_read_whole_if_it_is_there_and_has_not_too_many_values(void **state)
{
    struct fixture *f = *state;
    struct buf values;

    assert_int_equal(read_config(f, "{\"os\":\"x\"}"), 1);
    assert_int_equal(read_config(f, "{\"os\":"), 0);
    assert_int_equal(read_config(f, NULL), 0);
    buf_init(&values, 1u << 20);
    for (size_t i = 0; i < CONFIG_VALUES_MAX; i++)
        buf_puts(&values, i == 0 ? "[1" : ",1");
    buf_putc(&values, ']');
    assert_int_equal(read_config(f, buf_text(&values)), 1);
    buf_cut(&values, values.n - 1);
    buf_puts(&values, ",1]");
    assert_int_equal(read_config(f, buf_text(&values)), 0);
    buf_free(&values);
}

static struct digest
push_image_of(struct fixture *f, const char *config)
{
    struct digest d = fixture_blob(f, "a", config);
    char text[DIGEST_TEXT_MAX];

    digest_text(text, &d);
    return push(f,
                arena_printf(&f->arena,
                             "{\"schemaVersion\":2,\"config\":{\"mediaType\":"
                             "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
                             "\"size\":%zu},\"layers\":[]}",
                             text, strlen(config)),
                OCI_IMAGE);
}

/* The entries of an index, the platform that is asked for, and the image that is taken; -1: none.
 * named: whether the index tells the platforms, or only the configs of the images. */
static void
compare_platforms(struct fixture *f, bool named)
{
    static const struct {
        const char *has[4];
        const char *want;
        int takes;
    } cases[] = {
        {{"linux/arm/v6", "linux/arm/v7"}, "linux/arm", 1},
        {{"linux/arm/v7", "linux/arm/v6"}, "linux/arm/v6", 1},
        {{"linux/arm/v5", "linux/arm/v6"}, "linux/arm/v7", 1},
        {{"linux/arm/v5"}, "linux/arm", 0},
        {{"linux/arm"}, "linux/armhf", 0},
        {{"linux/arm/7"}, "linux/arm/v7", 0},
        {{"linux/arm"}, "linux/arm/v6", -1},
        {{"linux/armel", "linux/arm"}, "linux/arm/v6", 0},
        {{"linux/amd64", "linux/arm64/v8"}, "linux/arm64", 1},
        {{"linux/arm64"}, "linux/arm64/v8", 0},
        {{"linux/aarch64"}, "linux/arm64", 0},
        {{"linux/arm64/v9"}, "linux/arm64", -1},
        {{"linux/arm64/v9", "linux/arm64"}, "linux/arm64", 1},
        {{"linux/arm64"}, "linux/arm64/v9", 0},
        {{"linux/arm64/v8.6", "linux/arm64", "linux/arm64/v8.5"}, "linux/arm64/v9", 2},
        {{"linux/arm64", "linux/arm64/v8.9", "linux/arm64/v9.5"}, "linux/arm64/v9.4", 1},
        {{"linux/arm64/v9.0"}, "linux/arm64/v9", 0},
        {{"linux/arm64/v8.3", "linux/arm64/v8.1", "linux/arm64"}, "linux/arm64/v8.2", 1},
        {{"linux/arm64/v9", "linux/arm64/v8.1"}, "linux/arm64/v8", -1},
        {{"linux/arm/v7", "linux/arm/v8"}, "linux/arm64", -1},
        {{"linux/arm/v4"}, "linux/arm/v7", -1},
        {{"linux/386", "linux/x86_64"}, "linux/amd64", 1},
        {{"linux/amd64"}, "linux/x86-64", 0},
        {{"linux/amd64/v3", "linux/amd64"}, "linux/amd64/v1", 1},
        {{"linux/amd64", "linux/amd64/v2", "linux/amd64/v4"}, "linux/amd64/v3", 1},
        {{"linux/386", "linux/amd64"}, "linux/amd64/v2", 1},
        {{"linux/amd64/v1"}, "linux/amd64/v4", 0},
        {{"linux/amd64/v4", "linux/amd64/v3"}, "linux/amd64/v2", -1},
        {{"linux/amd64/v2"}, "linux/amd64", -1},
        {{"linux/amd64"}, "linux/amd64/other", -1},
        {{"linux/386"}, "linux/i386", 0},
        {{"linux/riscv64", "linux/riscv64/rva22u64"}, "linux/riscv64/rva22u64", 1},
        {{"darwin/arm64", "Linux/ARM64"}, "linux/arm64", 1},
        {{"darwin/arm64"}, "macos/arm64/v8", 0},
        {{"windows/amd64", "linux/s390x", "linux/x86_64"}, NULL, 2},
        {{"linux/s390x", "linux/amd64/v3", "linux/amd64"}, NULL, 2},
        {{"linux/s390x", "linux/amd64/v3"}, NULL, 1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct digest images[4], index;
        struct platform_image out;
        char entries[2000] = "", platform[120], text[160];
        int takes = -1, rc;

        if (!named && cases[i].want == NULL)
            continue;

        for (int at = 0; at < 4 && cases[i].has[at] != NULL; at++) {
            char os[20], architecture[20], variant[20] = "";

            sscanf(cases[i].has[at], "%19[^/]/%19[^/]/%19s", os, architecture, variant);
            snprintf(platform, sizeof platform,
                     "\"os\":\"%s\",\"architecture\":\"%s\",\"variant\":\"%s\"", os, architecture,
                     variant);
            snprintf(text, sizeof text, "{\"case\":\"%zu %d\",%s}", i, at, platform);
            images[at] = push_image_of(f, text);
            char digest[DIGEST_TEXT_MAX];
            digest_text(digest, &images[at]);
            snprintf(entries + strlen(entries), sizeof entries - strlen(entries),
                     "%s{\"mediaType\":\"%s\",\"size\":1,\"digest\":\"%s\",\"platform\":{%s}}",
                     at > 0 ? "," : "", OCI_IMAGE, digest, named ? platform : "");
        }
        index =
            push(f, arena_printf(&f->arena, "{\"schemaVersion\":2,\"manifests\":[%s]}", entries),
                 OCI_INDEX);
        rc = find(f, &index, cases[i].want, &out);
        for (int at = 0; at < 4 && rc == 0 && cases[i].has[at] != NULL; at++)
            if (digest_equal(&out.digest, &images[at]))
                takes = at;
        if (takes != cases[i].takes)
            fail_msg("case %zu: %d was taken, not %d", i, takes, cases[i].takes);
    }
}

static void
platforms_are_compared_as_containerd_does(void **state)
{
    compare_platforms(*state, true);
}

static void
platforms_of_configs_are_compared_likewise(void **state)
{
    compare_platforms(*state, false);
}

/* An image for an operating system, with a config of that size. */
static struct digest
push_long_image(struct fixture *f, const char *os, int n)
{
    return push_image_of(f,
                         arena_printf(&f->arena, "{\"os\":\"%s\",\"architecture\":\"arm64\",%*s}",
                                      os, n - 33 - (int)strlen(os), "\"x\":0"));
}

/* An index of the same image, n times, and another one. No entry names a platform. */
static struct digest
push_index_of(struct fixture *f, const struct digest *image, int n, const struct digest *last)
{
    struct buf text;
    char digest[DIGEST_TEXT_MAX];
    struct digest d;

    buf_init(&text, 1u << 20);
    buf_puts(&text, "{\"schemaVersion\":2,\"manifests\":[");
    for (int i = 0; i <= n; i++) {
        digest_text(digest, i < n ? image : last);
        buf_putf(&text, "%s{\"mediaType\":\"%s\",\"size\":1,\"digest\":\"%s\"}", i > 0 ? "," : "",
                 OCI_IMAGE, digest);
    }
    buf_puts(&text, "]}");
    d = push(f, buf_text(&text), OCI_INDEX);
    buf_free(&text);
    return d;
}

static void
a_search_reads_not_much_more_than_a_megabyte(void **state)
{
    struct fixture *f = *state;
    struct digest other = push_long_image(f, "windows", 300000), d;
    struct digest wanted = push_long_image(f, "linux", 1000);
    struct digest longest = push_long_image(f, "linux", 3000000);
    struct platform_image out;

    d = push_index_of(f, &other, 3, &wanted);
    OK(f, find(f, &d, "linux/arm64", &out));
    assert_true(digest_equal(&out.digest, &wanted));
    REFUSED(f, find(f, &d, "linux/amd64", &out), ERR_NO_IMAGE);
    d = push_index_of(f, &other, 3, &longest);
    OK(f, find(f, &d, "linux/arm64", &out));
    assert_true(digest_equal(&out.digest, &longest));
    arena_reset(&f->arena);
    d = push_index_of(f, &other, 4, &wanted);
    REFUSED(f, find(f, &d, "linux/arm64", &out), ERR_TOO_LARGE);
    assert_non_null(strstr(f->err.message, "too much has to be read"));
    OK(f, find(f, &d, "windows/arm64", &out));
    OK(f, find(f, &d, NULL, &out));
    assert_true(digest_equal(&out.digest, &other));
}

static void
a_search_looks_at_two_hundred_manifests(void **state)
{
    struct fixture *f = *state;
    struct digest other = push_long_image(f, "windows", 100), d;
    struct digest wanted = push_long_image(f, "linux", 100);
    struct platform_image out;

    d = push_index_of(f, &other, 198, &wanted); /* and the index */
    OK(f, find(f, &d, "linux/arm64", &out));
    d = push_index_of(f, &other, 199, &wanted);
    REFUSED(f, find(f, &d, "linux/arm64", &out), ERR_TOO_LARGE);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(platforms_have_two_or_three_parts),
        TEST(platforms_are_compared_as_containerd_does),
        TEST(platforms_of_configs_are_compared_likewise),
        TEST(what_leads_nowhere_is_no_image),
        TEST(a_config_is_read_whole_if_it_is_there_and_has_not_too_many_values),
        TEST(a_search_reads_not_much_more_than_a_megabyte),
        TEST(a_search_looks_at_two_hundred_manifests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
