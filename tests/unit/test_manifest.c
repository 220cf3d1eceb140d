#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domain/core/manifest.h"
#include "util/buf.h"

#define OCI "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define DOCKER "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define D3 "sha256:3333333333333333333333333333333333333333333333333333333333333333"

/* Quotes in the texts below are single: they become double ones. */
#define CONFIG "{'mediaType':'a/config','digest':'" D1 "','size':2}"
#define LAYER "{'mediaType':'a/layer','digest':'" D2 "','size':3}"
#define IMAGE "{'schemaVersion':2,'config':" CONFIG ",'layers':[" LAYER "]}"
#define INDEX "{'schemaVersion':2,'manifests':[" LAYER "]}"

static struct arena arena;
static struct err err;
static struct manifest m;

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 4u << 20);
    err = (struct err){.code = ERR_NONE};
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static int
parse(const char *text, const char *content_type)
{
    size_t n = strlen(text);
    char *copy = malloc(n > 0 ? n : 1); /* without a NUL behind it */
    int rc;

    assert_non_null(copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = text[i];
    for (size_t i = 0; i < n; i++)
        if (copy[i] == '\'')
            copy[i] = '"';
    rc = manifest_parse(&m, bytes_of(copy, n), content_type, &arena, &err);
    free(copy); /* nothing of the manifest may point into it */
    return rc;
}

static void
expect_good(const char *text, const char *content_type)
{
    if (parse(text, content_type) != 0)
        fail_msg("%s: %s", text, err.message);
}

static void
expect_bad(const char *text, const char *content_type, enum err_code code, const char *says)
{
    if (parse(text, content_type) == 0 && manifest_check(&m, &err) == 0)
        fail_msg("%s was accepted", text);
    if (err.code != code || strstr(err.message, says) == NULL)
        fail_msg("%s: %s (code %d)", text, err.message, err.code);
}

static struct digest
digest(const char *text)
{
    struct digest d;
    struct err ignored;

    assert_int_equal(digest_parse(&d, text, strlen(text), &ignored), 0);
    return d;
}

static void
expect_part(size_t i, enum manifest_part part, const char *text, bool elsewhere)
{
    struct digest d = digest(text);

    assert_in_range(i + 1, 1, m.descriptors_n);
    assert_int_equal(m.descriptors[i].part, part);
    assert_true(digest_equal(&m.descriptors[i].digest, &d));
    assert_int_equal(m.descriptors[i].elsewhere, elsewhere);
}

static void
images_of_both_kinds_are_read(void **state)
{
    static const char *const types[] = {OCI, DOCKER};
    struct digest config = digest(D1);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        expect_good(IMAGE, types[i]);
        assert_string_equal(m.media_type->name, types[i]);
        assert_int_equal(m.descriptors_n, 2);
        expect_part(0, PART_CONFIG, D1, false);
        expect_part(1, PART_LAYER, D2, false);
        assert_true(digest_equal(&m.config, &config));
        assert_string_equal(m.artifact_type, "a/config");
        assert_false(m.has_subject);
    }
}

static void
indexes_of_both_kinds_are_read(void **state)
{
    static const char *const types[] = {OCI_INDEX, DOCKER_LIST};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        expect_good(INDEX, types[i]);
        assert_string_equal(m.media_type->name, types[i]);
        assert_int_equal(m.descriptors_n, 1);
        expect_part(0, PART_CHILD, D2, false);
        assert_int_equal(m.config.algo, DIGEST_NONE);
        assert_string_equal(m.artifact_type, "");
    }
    expect_good("{'schemaVersion':2,'manifests':[]}", OCI_INDEX);
    assert_int_equal(m.descriptors_n, 0);
    expect_good("{'schemaVersion':2,'config':" CONFIG ",'layers':[]}", OCI);
    assert_int_equal(m.descriptors_n, 1);
}

static void
the_type_is_that_of_the_request_or_of_the_document(void **state)
{
    (void)state;
    expect_good("{'mediaType':'" OCI "','schemaVersion':2,'config':" CONFIG ",'layers':[]}", "");
    assert_string_equal(m.media_type->name, OCI);
    expect_good("{'mediaType':'" OCI "','schemaVersion':2,'config':" CONFIG ",'layers':[]}", OCI);
    expect_good("{'mediaType':null,'schemaVersion':2,'config':" CONFIG ",'layers':[]}", OCI);
    expect_bad(IMAGE, "", ERR_BAD_MANIFEST, "mediaType");
    expect_bad(IMAGE, "application/json", ERR_BAD_MANIFEST, "application/json");
}

static void
types_that_disagree_are_refused(void **state)
{
    (void)state;
    expect_bad("{'mediaType':'" DOCKER "','schemaVersion':2,'config':" CONFIG ",'layers':[]}", OCI,
               ERR_BAD_MANIFEST, "Content-Type is");
    expect_bad("{'mediaType':'" OCI_INDEX "','schemaVersion':2,'config':" CONFIG ",'layers':[]}",
               OCI, ERR_BAD_MANIFEST, "Content-Type is");
    expect_bad("{'mediaType':5,'schemaVersion':2,'config':" CONFIG ",'layers':[]}", OCI,
               ERR_BAD_MANIFEST, "mediaType");
    expect_bad("{'mediaType':'" OCI "\\u0000','schemaVersion':2,'config':" CONFIG ",'layers':[]}",
               OCI, ERR_BAD_MANIFEST, "mediaType");
}

/* CVE-2021-41190: one client reads it as an index, another as an image. */
static void
a_document_that_is_both_is_refused(void **state)
{
    static const char both[] =
        "{'schemaVersion':2,'config':" CONFIG ",'layers':[" LAYER "],'manifests':[" LAYER "]}";

    (void)state;
    expect_bad(both, OCI, ERR_BAD_MANIFEST, "could be read");
    expect_bad(both, OCI_INDEX, ERR_BAD_MANIFEST, "could be read");
    expect_bad("{'schemaVersion':2,'manifests':[],'config':{}}", OCI_INDEX, ERR_BAD_MANIFEST,
               "could be read");
    expect_bad("{'schemaVersion':2,'manifests':[],'layers':[]}", OCI_INDEX, ERR_BAD_MANIFEST,
               "could be read");
    expect_bad(INDEX, OCI, ERR_BAD_MANIFEST, "config");
    expect_bad(IMAGE, OCI_INDEX, ERR_BAD_MANIFEST, "manifests");
}

static void
schema_1_is_refused_with_what_to_do(void **state)
{
    (void)state;
    expect_bad("{'schemaVersion':1}", "application/vnd.docker.distribution.manifest.v1+prettyjws",
               ERR_UNSUPPORTED, "schema 1");
    expect_bad("{'schemaVersion':1}", "application/vnd.docker.distribution.manifest.v1+json",
               ERR_UNSUPPORTED, "schema 1");
    expect_bad("{'schemaVersion':1,'name':'a','fsLayers':[],'history':[]}", "application/json",
               ERR_UNSUPPORTED, "schema 1");
    expect_bad("{'schemaVersion':1,'name':'a','fsLayers':[]}", "", ERR_UNSUPPORTED, "schema 1");
    expect_bad("{'schemaVersion':1}", OCI, ERR_BAD_MANIFEST, "schemaVersion");
    expect_bad("{'schemaVersion':2,'fsLayers':[]}", "application/json", ERR_BAD_MANIFEST, "type");
    expect_bad("{'config':" CONFIG ",'layers':[]}", OCI, ERR_BAD_MANIFEST, "schemaVersion");
    expect_bad("{'schemaVersion':'2','config':" CONFIG ",'layers':[]}", OCI, ERR_BAD_MANIFEST,
               "schemaVersion");
}

static void
what_is_missing_is_named(void **state)
{
    (void)state;
    expect_bad("{'schemaVersion':2,'layers':[]}", OCI, ERR_BAD_MANIFEST, "config");
    expect_bad("{'schemaVersion':2,'config':" CONFIG ",'layers':{}}", OCI, ERR_BAD_MANIFEST,
               "layers");
    expect_good("{'schemaVersion':2,'config':" CONFIG "}", OCI);
    expect_good("{'schemaVersion':2,'config':" CONFIG ",'layers':null}", OCI);
    expect_good("{'schemaVersion':2,'manifests':null}", OCI_INDEX);
    expect_bad("{'schemaVersion':2}", OCI_INDEX, ERR_BAD_MANIFEST, "manifests");
    expect_bad("{'schemaVersion':2,'manifests':{}}", OCI_INDEX, ERR_BAD_MANIFEST, "manifests");
    expect_bad("{'schemaVersion':2,'manifests':[1]}", OCI_INDEX, ERR_BAD_MANIFEST, "not an object");
    expect_bad("{'schemaVersion':2,'manifests':[null]}", OCI_INDEX, ERR_BAD_MANIFEST,
               "not an object");
    expect_bad("{'schemaVersion':2,'config':[],'layers':[]}", OCI, ERR_BAD_MANIFEST, "config");
    expect_bad("[]", OCI, ERR_BAD_MANIFEST, "not an object");
    expect_bad("null", OCI, ERR_BAD_MANIFEST, "not an object");
    expect_bad("", OCI, ERR_BAD_MANIFEST, "");
    expect_bad("{", OCI, ERR_BAD_MANIFEST, "");
    expect_bad(IMAGE "x", OCI, ERR_BAD_MANIFEST, "");
}

/* An index with one entry that has these members. */
static const char *
index_of(const char *members)
{
    static char text[2000];

    snprintf(text, sizeof text, "{'schemaVersion':2,'manifests':[{%s}]}", members);
    return text;
}

static void
a_descriptor_needs_a_digest_a_size_and_a_type(void **state)
{
    static const char *const sizes[] = {
        "",
        ",'size':-1",
        ",'size':1.0",
        ",'size':1e3",
        ",'size':'1'",
        ",'size':null",
        ",'size':18446744073709551615",
        ",'size':18446744073709551616",
        ",'size':99999999999999999999999999",
    };
    static const char *const types[] = {
        "", ",'mediaType':5", ",'mediaType':''", ",'mediaType':'x'", ",'mediaType':'a/b;c'",
    };
    static const char *const digests[] = {
        "'x':1",
        "'digest':5",
        "'digest':''",
        "'digest':'sha256:1111'",
        "'digest':'md5:1111'",
        "'digest':'" D1 "1'",
        "'digest':'" D1 "\\u0000'",
        "'digest':'sha256:AAAA111111111111111111111111111111111111111111111111111111111111'",
    };
    char members[300];

    (void)state;
    expect_good(index_of("'digest':'" D1 "','size':0,'mediaType':'a/b'"), OCI_INDEX);
    expect_good(index_of("'digest':'" D1 "','size':18446744073709551614,'mediaType':'a/b'"),
                OCI_INDEX);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(members, sizeof members, "'digest':'" D1 "','mediaType':'a/b'%s", sizes[i]);
        expect_bad(index_of(members), OCI_INDEX, ERR_BAD_MANIFEST, "size");
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        snprintf(members, sizeof members, "'digest':'" D1 "','size':1%s", types[i]);
        expect_bad(index_of(members), OCI_INDEX, ERR_BAD_MANIFEST, "media type");
    }
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
        snprintf(members, sizeof members, "'size':1,'mediaType':'a/b',%s", digests[i]);
        expect_bad(index_of(members), OCI_INDEX, ERR_BAD_MANIFEST, "digest");
    }
}

static void
layers_with_urls_may_be_elsewhere_but_no_config(void **state)
{
    (void)state;
    expect_good("{'schemaVersion':2,"
                "'config':{'mediaType':'a/b','digest':'" D1 "','size':1,'urls':['http://x/']},"
                "'layers':[" LAYER ","
                "{'mediaType':'a/b','digest':'" D2 "','size':1,'urls':['http://x/']},"
                "{'mediaType':'a/b','digest':'" D3 "','size':1,'urls':[]}]}",
                DOCKER);
    assert_int_equal(m.descriptors_n, 4);
    expect_part(0, PART_CONFIG, D1, false);
    expect_part(1, PART_LAYER, D2, false);
    expect_part(2, PART_LAYER, D2, true);
    expect_part(3, PART_LAYER, D3, false);
}

static void
a_subject_is_read_and_checked(void **state)
{
    struct digest d = digest(D3);

    (void)state;
    expect_good("{'schemaVersion':2,'config':" CONFIG ",'layers':[],'subject':"
                "{'mediaType':'" OCI "','digest':'" D3 "','size':7}}",
                OCI);
    assert_true(m.has_subject);
    assert_true(digest_equal(&m.subject, &d));
    assert_int_equal(m.descriptors_n, 1); /* it need not be there */
    expect_good("{'schemaVersion':2,'manifests':[],'subject':" LAYER "}", OCI_INDEX);
    assert_true(m.has_subject);
    expect_good("{'schemaVersion':2,'manifests':[],'subject':null}", OCI_INDEX);
    assert_false(m.has_subject);
    expect_bad("{'schemaVersion':2,'manifests':[],'subject':'" D1 "'}", OCI_INDEX, ERR_BAD_MANIFEST,
               "subject");
    expect_bad("{'schemaVersion':2,'manifests':[],'subject':{}}", OCI_INDEX, ERR_BAD_MANIFEST,
               "subject");
}

static void
the_artifact_type_is_given_or_that_of_the_config(void **state)
{
    (void)state;
    expect_good("{'schemaVersion':2,'artifactType':'a/sbom','config':" CONFIG ",'layers':[]}", OCI);
    assert_string_equal(m.artifact_type, "a/sbom");
    expect_good("{'schemaVersion':2,'artifactType':'a/sbom','manifests':[]}", OCI_INDEX);
    assert_string_equal(m.artifact_type, "a/sbom");
    expect_bad("{'schemaVersion':2,'artifactType':'sbom','manifests':[]}", OCI_INDEX,
               ERR_BAD_MANIFEST, "artifactType");
    assert_string_equal(m.artifact_type, "");
    expect_bad("{'schemaVersion':2,'artifactType':5,'manifests':[]}", OCI_INDEX, ERR_BAD_MANIFEST,
               "artifactType");
    assert_string_equal(m.artifact_type, "");
}

static char *
many(size_t layers, const char *open, const char *close)
{
    struct buf b;
    char *text;

    buf_init(&b, 4u << 20);
    buf_puts(&b, open);
    for (size_t i = 0; i < layers; i++) {
        buf_puts(&b, i > 0 ? "," : "");
        buf_puts(&b, LAYER);
    }
    buf_puts(&b, close);
    assert_true(buf_ok(&b));
    text = strdup(buf_text(&b));
    assert_non_null(text);
    buf_free(&b);
    return text;
}

static void
there_may_be_a_thousand_descriptors_and_no_more(void **state)
{
    static const char image[] = "{'schemaVersion':2,'config':" CONFIG ",'layers':[";
    static const char index[] = "{'schemaVersion':2,'manifests':[";
    char *text;

    (void)state;
    expect_good(text = many(1000, index, "]}"), OCI_INDEX);
    assert_int_equal(m.descriptors_n, 1000);
    expect_part(999, PART_CHILD, D2, false);
    free(text);
    expect_bad(text = many(1001, index, "]}"), OCI_INDEX, ERR_BAD_MANIFEST, "too many");
    free(text);
    expect_good(text = many(999, image, "]}"), OCI);
    assert_int_equal(m.descriptors_n, 1000);
    free(text);
    expect_bad(text = many(1000, image, "]}"), OCI, ERR_BAD_MANIFEST, "too many");
    free(text);
}

static void
a_document_is_at_most_32_deep(void **state)
{
    char text[400];
    char open[40], close[40];

    (void)state;
    memset(open, '[', sizeof open);
    memset(close, ']', sizeof close);
    for (int deep = 31; deep <= 32; deep++) { /* the object itself is one */
        snprintf(text, sizeof text, "{'schemaVersion':2,'manifests':[],'annotations':%.*s%.*s}",
                 deep, open, deep, close);
        if (deep == 31)
            expect_good(text, OCI_INDEX);
        else
            expect_bad(text, OCI_INDEX, ERR_BAD_MANIFEST, "");
    }
}

static void
text_that_is_no_utf_8_is_refused(void **state)
{
    (void)state;
    expect_good("{'schemaVersion':2,'manifests':[],'annotations':{'a':'\xc3\xa4'}}", OCI_INDEX);
    expect_bad("{'schemaVersion':2,'manifests':[],'annotations':{'a':'\xe4'}}", OCI_INDEX,
               ERR_BAD_MANIFEST, "UTF-8");
    expect_bad("{'schemaVersion':2,'manifests':[],'annotations':{'a':'\xc0\x80'}}", OCI_INDEX,
               ERR_BAD_MANIFEST, "UTF-8");
}

static void
memory_that_is_out_is_our_fault_not_the_manifests(void **state)
{
    (void)state;
    for (size_t max = 0; max < 400; max += 16) {
        arena_reset(&arena);
        arena_init(&arena, max);
        if (parse(IMAGE, OCI) == 0)
            return;
        assert_int_equal(err.code, ERR_SYSTEM);
    }
    fail();
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(images_of_both_kinds_are_read),
        TEST(indexes_of_both_kinds_are_read),
        TEST(the_type_is_that_of_the_request_or_of_the_document),
        TEST(types_that_disagree_are_refused),
        TEST(a_document_that_is_both_is_refused),
        TEST(schema_1_is_refused_with_what_to_do),
        TEST(what_is_missing_is_named),
        TEST(a_descriptor_needs_a_digest_a_size_and_a_type),
        TEST(layers_with_urls_may_be_elsewhere_but_no_config),
        TEST(a_subject_is_read_and_checked),
        TEST(the_artifact_type_is_given_or_that_of_the_config),
        TEST(there_may_be_a_thousand_descriptors_and_no_more),
        TEST(a_document_is_at_most_32_deep),
        TEST(text_that_is_no_utf_8_is_refused),
        TEST(memory_that_is_out_is_our_fault_not_the_manifests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
