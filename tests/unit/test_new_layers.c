#include "store_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/events/event.h"
#include "domain/core/new_layers.h"
#include "domain/core/push.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_event.h"

#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar+gzip"

/* The events since the last call: types, and the beginnings of the ids. */
struct told {
    uint32_t after;
    struct buf text;
};

static int
see_told(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    static const char *const types[] = {
        [EVENT_IMAGE] = "image", [EVENT_LAYER] = "layer",      [EVENT_VERIFY] = "?",
        [EVENT_TAG] = "tag",     [EVENT_UNTAG] = "untag",      [EVENT_INDEX] = "?",
        [EVENT_DELETE] = "?",    [EVENT_MANIFEST] = "manifest"};
    struct told *t = arg;
    char id[DIGEST_TEXT_MAX], digest[DIGEST_TEXT_MAX];

    (void)err;
    if (seq <= t->after)
        return 0;
    t->after = seq;
    digest_hex(id, &r->id);
    digest_hex(digest, &r->digest);
    buf_putf(&t->text, "%s %.6s of %.6s in %s%s%s\n", types[r->type], id, digest, r->repository,
             r->tag[0] != '\0' ? ":" : "", r->tag);
    return 0;
}

static const char *
told(struct fixture *f, struct told *t)
{
    const char *text;

    buf_init(&t->text, 10000);
    OK(f, tbl_event_each(kv_reads(f->reg.kv), 0, see_told, t, &f->err));
    text = arena_strdup(&f->arena, buf_text(&t->text));
    buf_free(&t->text);
    return text;
}

static const char *
hex6(struct fixture *f, const struct digest *d)
{
    char text[DIGEST_TEXT_MAX];

    digest_hex(text, d);
    return arena_printf(&f->arena, "%.6s", text);
}

/* A manifest of n layers, whose blobs have been pushed. */
static const char *
layered(struct fixture *f, const struct digest *config, const char *config_type,
        const struct digest *layers, size_t n, const char *layer_type)
{
    char text[DIGEST_TEXT_MAX];
    struct buf b;
    const char *document;

    buf_init(&b, 10000);
    digest_text(text, config);
    buf_putf(&b,
             "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\","
             "\"size\":1},\"layers\":[",
             config_type, text);
    for (size_t i = 0; i < n; i++) {
        digest_text(text, &layers[i]);
        buf_putf(&b, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":1}", i > 0 ? "," : "",
                 layer_type, text);
    }
    buf_puts(&b, "]}");
    document = arena_strdup(&f->arena, buf_text(&b));
    buf_free(&b);
    assert_non_null(document);
    return document;
}

/* A config with n diff ids, each that of a text; the chain ids of those. */
static struct digest
config_of(struct fixture *f, const char *repository, const char *const *diffs, size_t n,
          struct digest *chain)
{
    char text[2 * DIGEST_TEXT_MAX], one[DIGEST_TEXT_MAX];
    struct buf b;
    struct digest config;

    buf_init(&b, 10000);
    buf_puts(&b, "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t i = 0; i < n; i++) {
        struct digest d = fixture_digest(diffs[i]);

        digest_text(one, &d);
        buf_putf(&b, "%s\"%s\"", i > 0 ? "," : "", one);
        chain[i] = d;
        if (i > 0) {
            digest_text(text, &chain[i - 1]);
            size_t at = strlen(text);
            snprintf(text + at, sizeof text - at, " %s", one);
            chain[i] = fixture_digest(text);
        }
    }
    buf_puts(&b, "]}}");
    config = fixture_blob(f, repository, buf_text(&b));
    buf_free(&b);
    return config;
}

static void
a_push_tells_of_its_layers_its_image_and_its_tag(void **state)
{
    static const char *const diffs[] = {"d1", "d2", "d3"};
    struct fixture *f = *state;
    struct told t = {.after = 0};
    struct digest chain[3], layers[3], config = config_of(f, "a/b", diffs, 3, chain);
    const char *c = hex6(f, &config), *document, *m, *want;
    struct push p;

    layers[0] = fixture_blob(f, "a/b", "one");
    layers[1] = fixture_blob(f, "a/b", "two");
    layers[2] = layers[0]; /* the same once more, as with empty layers */
    document = layered(f, &config, OCI_CONFIG, layers, 3, OCI_LAYER);
    OK(f, fixture_push(f, "a/b", "v1", document, OCI_IMAGE, &p));
    m = hex6(f, &p.digest);
    want = arena_printf(&f->arena,
                        "layer %s of %s in a/b\nlayer %s of %s in a/b\nimage %s of %s in a/b\n"
                        "manifest %s of %s in a/b\ntag %s of %s in a/b:v1\n",
                        hex6(f, &chain[0]), hex6(f, &layers[0]), hex6(f, &chain[1]),
                        hex6(f, &layers[1]), c, m, c, m, c, m);
    assert_string_equal(told(f, &t), want);

    /* Again: the tags alone. */
    OK(f, fixture_push(f, "a/b", "v1", document, OCI_IMAGE, &p));
    assert_string_equal(told(f, &t), arena_printf(&f->arena, "tag %s of %s in a/b:v1\n", c, m));
    OK(f, fixture_push(f, "a/b", "v2", document, OCI_IMAGE, &p));
    assert_string_equal(told(f, &t), arena_printf(&f->arena, "tag %s of %s in a/b:v2\n", c, m));
    OK(f, fixture_push(f, "a/b", NULL, document, OCI_IMAGE, &p));
    assert_string_equal(told(f, &t), "");

    /* Into another repository: its image, but no layer that the store had. */
    config_of(f, "c", diffs, 3, chain);
    fixture_blob(f, "c", "one");
    fixture_blob(f, "c", "two");
    OK(f, fixture_push(f, "c", "v1", document, OCI_IMAGE, &p));
    assert_string_equal(told(f, &t), arena_printf(&f->arena,
                                                  "image %s of %s in c\nmanifest %s of %s in c\n"
                                                  "tag %s of %s in c:v1\n",
                                                  c, m, c, m, c, m));
}

static void
only_the_new_layers_of_an_image_are_told(void **state)
{
    static const char *const diffs[] = {"d1", "d2"};
    struct fixture *f = *state;
    struct told t = {.after = 0};
    struct digest chain[2], layers[2], config = config_of(f, "a/b", diffs, 1, chain);
    const char *want;
    struct push p;

    layers[0] = fixture_blob(f, "a/b", "one");
    OK(f, fixture_push(f, "a/b", "v1", layered(f, &config, OCI_CONFIG, layers, 1, OCI_LAYER),
                       OCI_IMAGE, &p));
    told(f, &t);
    config = config_of(f, "a/b", diffs, 2, chain);
    layers[1] = fixture_blob(f, "a/b", "two");
    OK(f, fixture_push(f, "a/b", NULL, layered(f, &config, OCI_CONFIG, layers, 2, OCI_LAYER),
                       OCI_IMAGE, &p));
    want = arena_printf(&f->arena,
                        "layer %s of %s in a/b\nimage %s of %s in a/b\nmanifest %s of %s in a/b\n",
                        hex6(f, &chain[1]), hex6(f, &layers[1]), hex6(f, &config),
                        hex6(f, &p.digest), hex6(f, &config), hex6(f, &p.digest));
    assert_string_equal(told(f, &t), want);
}

/* Somebody else's image comes with the same layer between our look and our transaction. */
static int
append_late(struct txn *txn, void *arg, struct err *err)
{
    const struct fixture *f = arg;
    static const struct actor anybody = {.user = "", .address = ""};
    struct rec_event e = event_of(EVENT_IMAGE, "late", &anybody);
    struct digest ours = fixture_digest("our manifest"), theirs = fixture_digest("their manifest");
    struct new_layer v[] = {
        {.chain = fixture_digest("chain 1"), .blob = fixture_digest("shared")},
        {.chain = fixture_digest("chain 2"), .blob = fixture_digest("ours alone")}};
    struct new_layers layers = {v, 2};
    struct edge edges[] = {
        {.to = v[0].blob, .kind = EDGE_PART, .repo = 1, .from = theirs},
        {.to = v[1].blob, .kind = EDGE_MEMBER, .repo = 1},
        {.to = v[1].blob, .kind = EDGE_SUBJECT, .repo = 1, .from = theirs},
        {.to = v[0].blob, .kind = EDGE_PART, .repo = 1, .from = ours},
        {.to = v[1].blob, .kind = EDGE_PART, .repo = 1, .from = ours},
    };

    (void)f;
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        if (i == 3)
            WANT(new_layers_look(txn, &layers, err) == 0);
        WANT(tbl_edge_put(txn, &edges[i], err) == 0);
    }
    return new_layers_tell(txn, &layers, &anybody, &e, err);
}

static void
of_two_images_at_once_one_brings_the_layer(void **state)
{
    struct fixture *f = *state;
    struct told t = {.after = 0};
    struct digest chain = fixture_digest("chain 2"), blob = fixture_digest("ours alone");

    fixture_run(f, append_late, f);
    assert_string_equal(told(f, &t), arena_printf(&f->arena, "layer %s of %s in late\n",
                                                  hex6(f, &chain), hex6(f, &blob)));
}

static void
what_is_no_image_is_called_by_its_own_digest(void **state)
{
    static const char *const diffs[] = {"d1"};
    struct fixture *f = *state;
    struct told t = {.after = 0};
    struct digest chain[1], layer = fixture_blob(f, "a/b", "one");
    struct digest config = config_of(f, "a/b", diffs, 1, chain);
    const char *documents[] = {
        layered(f, &config, "application/vnd.cncf.helm.config.v1+json", &layer, 1, OCI_LAYER),
        layered(f, &config, OCI_CONFIG, &layer, 1, "application/vnd.in-toto+json"),
        fixture_index(f, &layer),
    };
    struct push p;

    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        OK(f, fixture_push(f, "a/b", NULL, documents[i], i < 2 ? OCI_IMAGE : OCI_INDEX, &p));
        const char *m = hex6(f, &p.digest);
        assert_string_equal(told(f, &t),
                            arena_printf(&f->arena, "manifest %s of %s in a/b\n", m, m));
    }
}

static void
a_config_that_tells_nothing_makes_no_trouble(void **state)
{
    static const char *const configs[] = {"", "{", "{\"rootfs\":{\"diff_ids\":[\"x\"]}}", "[]"};
    struct fixture *f = *state;
    struct told t = {.after = 0};
    struct push p;

    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        struct digest layer = fixture_blob(f, "a/b", configs[i][0] == '{' ? "one" : "two");
        struct digest config = fixture_blob(f, "a/b", configs[i]);

        OK(f, fixture_push(f, "a/b", NULL, layered(f, &config, OCI_CONFIG, &layer, 1, OCI_LAYER),
                           OCI_IMAGE, &p));
        const char *c = hex6(f, &config), *m = hex6(f, &p.digest);
        assert_string_equal(told(f, &t),
                            arena_printf(&f->arena,
                                         "image %s of %s in a/b\nmanifest %s of %s in a/b\n", c, m,
                                         c, m));
    }
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_push_tells_of_its_layers_its_image_and_its_tag),
        TEST(only_the_new_layers_of_an_image_are_told),
        TEST(of_two_images_at_once_one_brings_the_layer),
        TEST(what_is_no_image_is_called_by_its_own_digest),
        TEST(a_config_that_tells_nothing_makes_no_trouble),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
