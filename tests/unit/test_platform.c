#include <string.h>
#include "domain/core/platform.h"
#include "domain/core/repository.h"
#include "store_fixture.h"

/* Which images are chosen in which order is asked from outside, by the system tests; here is what
 * they can't easily make. */

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

static void
a_config_is_read_whole_if_it_is_there(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_blob(f, "a", "{\"os\":\"x\"}"), none = fixture_digest("nothing");
    struct bytes config;

    assert_int_equal(platform_config(&f->reg, &d, &f->arena, &config, &f->err), 1);
    assert_true(bytes_equal(config, bytes_str("{\"os\":\"x\"}")));
    assert_int_equal(platform_config(&f->reg, &none, &f->arena, &config, &f->err), 0);
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

/* What an index has, what is asked for, and which of its images is taken; -1: none. */
static void
platforms_are_compared_as_containerd_does(void **state)
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
        {{"linux/arm64/v9"}, "linux/arm64", 0},
        {{"linux/arm64/v9", "linux/arm64"}, "linux/arm64", 1},
        {{"linux/arm64"}, "linux/arm64/v9", -1},
        {{"linux/386", "linux/x86_64"}, "linux/amd64", 1},
        {{"linux/amd64"}, "linux/x86-64", 0},
        {{"linux/amd64/v3", "linux/amd64"}, "linux/amd64/v1", 1},
        {{"linux/386"}, "linux/i386", 0},
        {{"darwin/arm64", "Linux/ARM64"}, "linux/arm64", 1},
        {{"darwin/arm64"}, "macos/arm64/v8", 0},
        {{"windows/amd64", "linux/s390x", "linux/x86_64"}, NULL, 2},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct digest images[4], index;
        struct platform_image out;
        char entries[2000] = "", text[60];
        int takes = -1, rc;

        for (int at = 0; at < 4 && cases[i].has[at] != NULL; at++) {
            char os[20], architecture[20], variant[20] = "";

            sscanf(cases[i].has[at], "%19[^/]/%19[^/]/%19s", os, architecture, variant);
            snprintf(text, sizeof text, "{\"case\":\"%zu %d\"}", i, at);
            images[at] = push_image_of(f, text);
            char digest[DIGEST_TEXT_MAX];
            digest_text(digest, &images[at]);
            snprintf(entries + strlen(entries), sizeof entries - strlen(entries),
                     "%s{\"mediaType\":\"%s\",\"size\":1,\"digest\":\"%s\",\"platform\":{"
                     "\"os\":\"%s\",\"architecture\":\"%s\",\"variant\":\"%s\"}}",
                     at > 0 ? "," : "", OCI_IMAGE, digest, os, architecture, variant);
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

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(platforms_have_two_or_three_parts),
        TEST(platforms_are_compared_as_containerd_does),
        TEST(what_leads_nowhere_is_no_image),
        TEST(a_config_is_read_whole_if_it_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
