#include "store_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/catalog.h"
#include "domain/delete.h"
#include "domain/gc.h"
#include "domain/image.h"
#include "domain/image_push.h"
#include "domain/image_tag.h"
#include "domain/pull.h"
#include "domain/tag.h"
#include "storage/tbl_blob.h"
#include "storage/tbl_edge.h"
#include "storage/tbl_event.h"
#include "storage/tbl_image.h"
#include "storage/tbl_job.h"
#include "util/banned.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE) /* a lease, and an upload's expiry */

static const struct actor alice = {.user = "alice", .address = "192.0.2.1"};

/* ---- images ---- */

/* An id that begins with two hex digits of n, and ends with four. */
static struct digest
id_of(unsigned n)
{
    struct digest id = {.algo = DIGEST_V1_ID};

    id.bytes[0] = (uint8_t)n;
    id.bytes[30] = (uint8_t)(n >> 8);
    id.bytes[31] = (uint8_t)n;
    return id;
}

/* parent: 0 for none. */
static const char *
json_of(struct fixture *f, unsigned n, unsigned parent, const char *more)
{
    char id[DIGEST_TEXT_MAX], above[DIGEST_TEXT_MAX];
    struct digest d = id_of(n);
    const char *text;

    digest_hex(id, &d);
    d = id_of(parent);
    digest_hex(above, &d);
    text = parent != 0
               ? arena_printf(&f->arena, "{\"id\":\"%s\",\"parent\":\"%s\"%s}\n", id, above, more)
               : arena_printf(&f->arena, "{\"id\":\"%s\"%s}\n", id, more);
    assert_non_null(text);
    return text;
}

static int
put_text(struct fixture *f, unsigned n, const char *json)
{
    struct digest id = id_of(n);

    return image_push_json(&f->reg, &id, bytes_str(json), &alice, &f->err);
}

static int
put_json(struct fixture *f, unsigned n, unsigned parent)
{
    return put_text(f, n, json_of(f, n, parent, ""));
}

static int
put_layer(struct fixture *f, unsigned n, const char *layer)
{
    struct digest id = id_of(n);
    const char *body = fixture_body(f, bytes_str(layer));
    int rc = image_push_layer(&f->reg, &id, body, strlen(layer), &alice, &f->arena, &f->err);

    assert_int_equal(unlink(body), 0); /* as nginx does at the end */
    return rc;
}

static const char *
payload_of(struct fixture *f, const char *json, const char *layer)
{
    const char *both = arena_printf(&f->arena, "%s\n%s", json, layer);
    char text[DIGEST_TEXT_MAX];
    struct digest d = fixture_digest(both);

    digest_text(text, &d);
    return arena_strdup(&f->arena, text);
}

static int
verify(struct fixture *f, unsigned n, const char *payload)
{
    struct digest id = id_of(n);

    return image_push_verify(&f->reg, &id, NULL, payload, &alice, &f->arena, &f->err);
}

/* All of an image, its layer being the text. */
static void
push_image(struct fixture *f, unsigned n, unsigned parent, const char *layer)
{
    OK(f, put_json(f, n, parent));
    OK(f, put_layer(f, n, layer));
    OK(f, verify(f, n, payload_of(f, json_of(f, n, parent, ""), layer)));
}

static bool
is_seen(struct fixture *f, unsigned n)
{
    struct digest id = id_of(n);
    struct image image;

    if (image_find(&f->reg, &id, false, &image, &f->err) == 0)
        return true;
    assert_int_equal(f->err.code, ERR_NO_IMAGE);
    return false;
}

static bool
has_record(struct fixture *f, unsigned n)
{
    struct digest id = id_of(n);
    struct rec_image r;
    int rc = tbl_image_get(kv_reads(f->reg.kv), &id, &r, &f->err);

    assert_in_range(rc, 0, 1);
    return rc == 1;
}

static int
tag(struct fixture *f, const char *repository, const char *name, unsigned n)
{
    struct digest id = id_of(n);

    return image_tag_put(&f->reg, repository, name, &id, &alice, &f->arena, &f->err);
}

static int
see_event(uint32_t seq, const struct rec_event *e, void *arg, struct err *err)
{
    static const char *const types[] = {
        [EVENT_IMAGE] = "image",      [EVENT_LAYER] = "layer", [EVENT_VERIFY] = "verify",
        [EVENT_TAG] = "tag",          [EVENT_UNTAG] = "untag", [EVENT_MANIFEST] = "manifest",
        [EVENT_DELETE] = "something",
    };
    char id[DIGEST_TEXT_MAX], digest[DIGEST_TEXT_MAX];

    (void)seq;
    (void)err;
    digest_hex(id, &e->id);
    digest_hex(digest, &e->digest);
    buf_putf(arg, "%s %.2s%s%.4s%s%s%s%s by %s\n", types[e->type] != NULL ? types[e->type] : "?",
             id, digest[0] != '\0' ? "=" : "", digest, e->repository[0] != '\0' ? " " : "",
             e->repository, e->tag[0] != '\0' ? ":" : "", e->tag, e->actor);
    return 0;
}

static void
expect_events(struct fixture *f, const char *lines)
{
    struct buf b;

    buf_init(&b, 10000);
    OK(f, tbl_event_each(kv_reads(f->reg.kv), 0, see_event, &b, &f->err));
    assert_string_equal(buf_text(&b), lines);
    buf_free(&b);
}

/* ---- pushing ---- */

static void
an_image_comes_in_three_steps_and_each_is_told(void **state)
{
    struct fixture *f = *state;
    const char *json = json_of(f, 1, 0, ",\"x\":\"\\u0026\"");
    const char *payload = payload_of(f, json, "layer one");
    struct digest id = id_of(1);
    struct image image;
    struct bytes got;

    OK(f, put_text(f, 1, json));
    assert_false(is_seen(f, 1));
    OK(f, put_layer(f, 1, "layer one"));
    OK(f, verify(f, 1, payload));
    OK(f, image_find(&f->reg, &id, false, &image, &f->err));
    assert_true(image.verified);
    assert_int_equal(image.size, 9);
    OK(f, image_json(&f->reg, &id, &f->arena, &got, &f->err));
    assert_true(bytes_equal(got, bytes_str(json)));
    struct digest layer = fixture_digest("layer one");
    assert_true(digest_equal(&image.layer, &layer));
    char text[DIGEST_TEXT_MAX];
    digest_text(text, &image.checksum);
    assert_string_equal(text, payload);
    assert_int_equal(fixture_layer_files(f), 1);
    expect_events(f, arena_printf(&f->arena,
                                  "image 01 by alice\nlayer 01=%.4s by alice\n"
                                  "verify 01 by alice\n",
                                  payload + 7));
}

static void
a_json_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *bad[] = {
        "",
        "nonsense",
        "[]",
        "\"x\"",
        "{}",
        "{\"id\":1}",
        "{\"id\":\"x\"}",
        json_of(f, 2, 0, ""),
        json_of(f, 1, 7, ""),
        json_of(f, 1, 1, ""),
        json_of(f, 1, 0, ",\"parent\":\"x\""),
        json_of(f, 1, 0, ",\"parent\":7"),
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        REFUSED(f, put_text(f, 1, bad[i]), ERR_BAD_IMAGE);
    assert_false(has_record(f, 1));
    OK(f, put_text(f, 1, json_of(f, 1, 0, ",\"parent\":null")));
    OK(f, put_text(f, 1, json_of(f, 1, 0, ",\"parent\":\"\"")));

    char *longest = malloc(IMAGE_PUSH_JSON_MAX + 2);
    const char *json = json_of(f, 2, 0, "");
    assert_non_null(longest);
    memset(longest, ' ', IMAGE_PUSH_JSON_MAX + 1);
    memcpy(longest, json, strlen(json));
    longest[IMAGE_PUSH_JSON_MAX + 1] = '\0';
    REFUSED(f, put_text(f, 2, longest), ERR_TOO_LARGE);
    longest[IMAGE_PUSH_JSON_MAX] = '\0';
    OK(f, put_text(f, 2, longest));
    free(longest);
}

static void
a_layer_needs_a_json_and_bytes(void **state)
{
    struct fixture *f = *state;
    struct digest id = id_of(1);

    REFUSED(f, put_layer(f, 1, "layer"), ERR_NO_IMAGE);
    OK(f, put_json(f, 1, 0));
    REFUSED(f, verify(f, 1, "sha256:00"), ERR_NO_IMAGE);
    REFUSED(f, image_push_layer(&f->reg, &id, "", 0, &alice, &f->arena, &f->err), ERR_BAD_IMAGE);
    f->reg.max_blob_size = 4;
    REFUSED(f, put_layer(f, 1, "layer"), ERR_TOO_LARGE);
    f->reg.max_blob_size = 5;
    OK(f, put_layer(f, 1, "layer"));
    assert_true(is_seen(f, 1));
    REFUSED(f, verify(f, 1, NULL), ERR_BAD_IMAGE);
    REFUSED(f, verify(f, 1, " , "), ERR_BAD_IMAGE);
    assert_true(is_seen(f, 1));
    assert_int_equal(fixture_layer_files(f), 1);
}

static void
a_wrong_checksum_hides_the_image_until_it_is_mended(void **state)
{
    struct fixture *f = *state;
    const char *json = json_of(f, 1, 0, ""), *right = payload_of(f, json, "layer");
    const char *wrong = payload_of(f, json, "other");

    OK(f, put_json(f, 1, 0));
    OK(f, put_layer(f, 1, "layer"));
    REFUSED(f, verify(f, 1, wrong), ERR_DIGEST_MISMATCH);
    assert_string_equal(f->err.message, "Checksum mismatch");
    assert_false(is_seen(f, 1));
    OK(f, put_json(f, 1, 0)); /* the same, as after a break */
    assert_false(is_seen(f, 1));
    OK(f, put_layer(f, 1, "layer"));
    assert_true(is_seen(f, 1));
    REFUSED(f, verify(f, 1, wrong), ERR_DIGEST_MISMATCH);
    assert_false(is_seen(f, 1));
    OK(f, verify(f, 1, right)); /* what is right needs no second layer */
    assert_true(is_seen(f, 1));
}

static void
an_image_that_is_complete_never_changes(void **state)
{
    struct fixture *f = *state;
    const char *json = json_of(f, 1, 0, "");

    push_image(f, 1, 0, "layer");
    REFUSED(f, put_json(f, 1, 0), ERR_EXISTS);
    assert_string_equal(f->err.message, "Image already exists");
    REFUSED(f, put_layer(f, 1, "layer"), ERR_EXISTS);
    REFUSED(f, put_layer(f, 1, "other"), ERR_EXISTS);
    REFUSED(f, verify(f, 1, payload_of(f, json, "other")), ERR_DIGEST_MISMATCH);
    assert_true(is_seen(f, 1));
    OK(f, verify(f, 1, payload_of(f, json, "layer")));
    assert_int_equal(fixture_layer_files(f), 1);
    expect_events(f, arena_printf(&f->arena,
                                  "image 01 by alice\nlayer 01=%.4s by alice\n"
                                  "verify 01 by alice\n",
                                  payload_of(f, json, "layer") + 7));
}

static void
what_was_not_verified_may_come_again_until_a_tag_leads_to_it(void **state)
{
    struct fixture *f = *state;
    const char *other = json_of(f, 1, 0, ",\"x\":1");
    struct digest layer = fixture_digest("first"), id = id_of(1);
    struct edge keeps = {.to = layer, .kind = EDGE_IMAGE, .from = id};

    OK(f, put_json(f, 1, 0));
    OK(f, put_layer(f, 1, "first"));
    OK(f, put_json(f, 1, 0));
    assert_true(is_seen(f, 1));
    OK(f, put_text(f, 1, other));
    assert_false(is_seen(f, 1));
    assert_int_equal(tbl_edge_has(kv_reads(f->reg.kv), &keeps, &f->err), 0);
    OK(f, put_layer(f, 1, "second"));
    OK(f, put_layer(f, 1, "third"));
    OK(f, tag(f, "a/b", "latest", 1));

    OK(f, put_text(f, 1, other));
    OK(f, put_layer(f, 1, "third"));
    REFUSED(f, put_json(f, 1, 0), ERR_EXISTS);
    REFUSED(f, put_layer(f, 1, "fourth"), ERR_EXISTS);
    REFUSED(f, verify(f, 1, payload_of(f, other, "fourth")), ERR_DIGEST_MISMATCH);
    assert_true(is_seen(f, 1));
    OK(f, verify(f, 1, payload_of(f, other, "third")));
    REFUSED(f, put_text(f, 1, other), ERR_EXISTS);

    fixture_forward_ms(2 * HOUR);
    OK(f, gc_step(&f->reg, &f->err));
    fixture_forward_ms(2 * MINUTE);
    OK(f, gc_step(&f->reg, &f->err));
    assert_int_equal(fixture_layer_files(f), 1);
    assert_true(is_seen(f, 1));
}

static void
the_same_layer_is_kept_once(void **state)
{
    struct fixture *f = *state;

    push_image(f, 1, 0, "layer");
    push_image(f, 2, 1, "layer");
    fixture_blob(f, "a/b", "layer");
    assert_int_equal(fixture_layer_files(f), 1);
}

static void
a_chain_has_no_circle_and_an_end(void **state)
{
    struct fixture *f = *state;
    struct digest *chain = arena_array(&f->arena, IMAGE_CHAIN_MAX, sizeof *chain);
    struct digest id;
    size_t n;

    OK(f, put_json(f, 1, 0));
    OK(f, put_json(f, 2, 1));
    OK(f, put_json(f, 3, 2));
    REFUSED(f, put_json(f, 1, 3), ERR_BAD_IMAGE);
    REFUSED(f, put_json(f, 1, 1), ERR_BAD_IMAGE);
    OK(f, put_json(f, 1, 0));

    for (unsigned i = 4; i <= IMAGE_CHAIN_MAX; i++)
        OK(f, put_json(f, i, i - 1));
    REFUSED(f, put_json(f, IMAGE_CHAIN_MAX + 1, IMAGE_CHAIN_MAX), ERR_BAD_IMAGE);

    /* Made longer from below, it can't be walked. */
    OK(f, put_json(f, 2000, 0));
    OK(f, put_json(f, 1, 2000));
    for (unsigned i = 1; i <= IMAGE_CHAIN_MAX; i++)
        OK(f, put_layer(f, i, "l"));
    OK(f, put_layer(f, 2000, "l"));
    id = id_of(IMAGE_CHAIN_MAX);
    REFUSED(f, image_ancestry(&f->reg, &id, chain, &n, &f->err), ERR_NO_IMAGE);
    id = id_of(IMAGE_CHAIN_MAX - 1);
    OK(f, image_ancestry(&f->reg, &id, chain, &n, &f->err));
    assert_int_equal(n, IMAGE_CHAIN_MAX);
}

/* ---- finding ---- */

static void
a_chain_is_told_from_its_top_when_all_of_it_is_there(void **state)
{
    struct fixture *f = *state;
    struct digest *chain = arena_array(&f->arena, IMAGE_CHAIN_MAX, sizeof *chain);
    struct digest id = id_of(3), one = id_of(1);
    size_t n;

    OK(f, put_json(f, 1, 0));
    push_image(f, 2, 1, "two");
    push_image(f, 3, 2, "three");
    REFUSED(f, image_ancestry(&f->reg, &id, chain, &n, &f->err), ERR_NO_IMAGE);
    REFUSED(f, tag(f, "a/b", "latest", 3), ERR_NO_IMAGE);
    OK(f, put_layer(f, 1, "one"));
    OK(f, image_ancestry(&f->reg, &id, chain, &n, &f->err));
    assert_int_equal(n, 3);
    assert_true(digest_equal(&chain[0], &id));
    assert_true(digest_equal(&chain[2], &one));
}

static void
a_few_digits_are_enough_if_they_are_one_image(void **state)
{
    struct fixture *f = *state;
    struct digest got, want = id_of(0x105);
    char hex[DIGEST_TEXT_MAX];

    push_image(f, 0x105, 0, "a"); /* 0500...0105 */
    push_image(f, 0x206, 0, "b"); /* 0600...0206 */
    push_image(f, 0x306, 0, "c"); /* 0600...0306 */
    OK(f, put_json(f, 0x205, 0)); /* half there: doesn't count */
    digest_hex(hex, &want);
    OK(f, image_resolve(&f->reg, hex, &got, &f->err));
    assert_true(digest_equal(&got, &want));
    for (size_t n = IMAGE_SHORT_MIN; n < 64; n++) {
        OK(f, image_resolve(&f->reg, arena_copy(&f->arena, hex, n), &got, &f->err));
        assert_true(digest_equal(&got, &want));
    }
    REFUSED(f, image_resolve(&f->reg, "050", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, "", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, "0600", &got, &f->err), ERR_BAD_REQUEST);
    REFUSED(f, image_resolve(&f->reg, "0501", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, "ffffff", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, "0500/..", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, "0500A", &got, &f->err), ERR_NO_IMAGE);
    hex[0] = 'g';
    REFUSED(f, image_resolve(&f->reg, hex, &got, &f->err), ERR_NO_IMAGE);
}

/* ---- tags ---- */

static int
see_tag(const char *name, const struct digest *id, void *arg, struct err *err)
{
    (void)err;
    buf_putf(arg, "%s=%02x ", name, id->bytes[0]);
    return 0;
}

static int
see_everywhere(const char *repository, const char *name, const struct digest *id, void *arg,
               struct err *err)
{
    (void)err;
    buf_putf(arg, "%s:%s=%02x ", repository, name, id->bytes[0]);
    return 0;
}

static void
expect_text(struct buf *b, const char *want)
{
    assert_string_equal(buf_text(b), want);
    buf_reset(b);
}

static void
tags_lead_to_images_and_images_are_listed_after_their_parents(void **state)
{
    struct fixture *f = *state;
    struct digest id, *ids;
    struct buf b;
    size_t n;

    buf_init(&b, 1000);
    REFUSED(f, tag(f, "a/b", "latest", 9), ERR_NO_IMAGE);
    REFUSED(f, image_tag_each(&f->reg, "a/b", see_tag, &b, &f->err), ERR_NO_REPOSITORY);
    for (unsigned i = 1; i <= 4; i++)
        push_image(f, i, i - 1, "layer");
    push_image(f, 5, 2, "branch");
    OK(f, tag(f, "a/b", "z", 4));
    OK(f, tag(f, "a/b", "m", 5));
    OK(f, tag(f, "a/b", "a", 2));
    OK(f, tag(f, "library/c", "latest", 1));
    OK(f, image_tag_each(&f->reg, "a/b", see_tag, &b, &f->err));
    expect_text(&b, "a=02 m=05 z=04 ");
    OK(f, image_tag_images(&f->reg, "a/b", &f->arena, &ids, &n, &f->err));
    for (size_t i = 0; i < n; i++)
        buf_putf(&b, "%02x ", ids[i].bytes[0]);
    expect_text(&b, "01 02 05 03 04 ");
    OK(f, image_tag_everywhere(&f->reg, &alice, see_everywhere, &b, &f->err));
    expect_text(&b, "a/b:a=02 a/b:m=05 a/b:z=04 library/c:latest=01 ");
    OK(f, image_tag_find(&f->reg, "a/b", "m", &id, &f->err));
    assert_int_equal(id.bytes[0], 5);
    REFUSED(f, image_tag_find(&f->reg, "a/b", "n", &id, &f->err), ERR_NO_MANIFEST);
    REFUSED(f, image_tag_find(&f->reg, "a/c", "m", &id, &f->err), ERR_NO_MANIFEST);
    buf_free(&b);
}

static void
both_apis_move_and_delete_the_same_tags(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", "config"), layer = fixture_blob(f, "a/b", "l");
    const char *document = fixture_image(f, &config, &layer, "");
    struct reference latest = {.tag = "latest"};
    struct catalog_page repositories;
    struct tag_page tags;
    struct pulled pulled;
    struct digest id;
    struct push p;
    struct buf b;
    size_t n;

    buf_init(&b, 1000);
    push_image(f, 1, 0, "one");
    OK(f, fixture_push(f, "a/b", "latest", document, OCI_IMAGE, &p));
    OK(f, tag(f, "a/b", "latest", 1));
    REFUSED(f, pull_manifest(&f->reg, "a/b", &latest, true, &f->arena, &pulled, &f->err),
            ERR_NOT_CONVERTED);
    OK(f, image_tag_find(&f->reg, "a/b", "latest", &id, &f->err));
    OK(f, fixture_push(f, "a/b", "latest", document, OCI_IMAGE, &p));
    REFUSED(f, image_tag_find(&f->reg, "a/b", "latest", &id, &f->err), ERR_NO_MANIFEST);
    OK(f, pull_manifest(&f->reg, "a/b", &latest, true, &f->arena, &pulled, &f->err));

    OK(f, tag(f, "only/v1", "one", 1));
    OK(f, tag(f, "only/v1", "two", 1));
    OK(f, tag_list(&f->reg, "only/v1", "", 10, &f->arena, &tags, &f->err));
    assert_int_equal(tags.n, 2);
    OK(f, catalog_list(&f->reg, &alice, "", 10, &f->arena, &repositories, &f->err));
    assert_int_equal(repositories.n, 2);
    OK(f, delete_tag(&f->reg, "only/v1", "two", &alice, &f->arena, &f->err));
    OK(f, image_tag_each(&f->reg, "only/v1", see_tag, &b, &f->err));
    expect_text(&b, "one=01 ");
    OK(f, tag(f, "a/b", "old", 1));
    OK(f, delete_all_tags(&f->reg, "a/b", &alice, &n, &f->err));
    assert_int_equal(n, 2);
    OK(f, delete_all_tags(&f->reg, "a/b", &alice, &n, &f->err));
    assert_int_equal(n, 0);
    OK(f, delete_all_tags(&f->reg, "no/thing", &alice, &n, &f->err));
    assert_int_equal(n, 0);
    OK(f, tag_list(&f->reg, "a/b", "", 10, &f->arena, &tags, &f->err));
    assert_int_equal(tags.n, 0);
    OK(f, delete_all_tags(&f->reg, "only/v1", &alice, &n, &f->err));
    OK(f, catalog_list(&f->reg, &alice, "", 10, &f->arena, &repositories, &f->err));
    assert_int_equal(repositories.n, 1); /* the one with a manifest */
    buf_free(&b);
}

static void
each_tag_that_is_put_or_deleted_is_told(void **state)
{
    struct fixture *f = *state;
    size_t n;

    OK(f, put_json(f, 1, 0));
    OK(f, put_layer(f, 1, "x"));
    OK(f, tag(f, "a/b", "latest", 1));
    OK(f, tag(f, "a/b", "latest", 1));
    OK(f, delete_all_tags(&f->reg, "a/b", &alice, &n, &f->err));
    expect_events(f, arena_printf(&f->arena,
                                  "image 01 by alice\nlayer 01=%.4s by alice\n"
                                  "tag 01 a/b:latest by alice\ntag 01 a/b:latest by alice\n"
                                  "untag 01 a/b:latest by alice\n",
                                  payload_of(f, json_of(f, 1, 0, ""), "x") + 7));
}

/* ---- garbage ---- */

static void
collect_after(struct fixture *f, uint64_t ms)
{
    fixture_forward_ms(ms);
    OK(f, gc_step(&f->reg, &f->err));
}

static void
an_image_that_nothing_keeps_goes_with_its_chain_and_then_its_layers(void **state)
{
    struct fixture *f = *state;
    struct digest id = id_of(2);

    for (unsigned i = 1; i <= 5; i++)
        push_image(f, i, i - 1, i == 5 ? "five" : "layer");
    collect_after(f, HOUR - 10 * SECOND);
    assert_true(has_record(f, 5));
    collect_after(f, 20 * SECOND);
    for (unsigned i = 1; i <= 5; i++)
        assert_false(has_record(f, i));
    REFUSED(f, image_json(&f->reg, &id, &f->arena, &(struct bytes){0}, &f->err), ERR_NO_IMAGE);
    assert_int_equal(fixture_layer_files(f), 2);
    collect_after(f, HOUR + SECOND);
    collect_after(f, 2 * MINUTE);
    assert_int_equal(fixture_layer_files(f), 0);
}

static void
what_a_tag_leads_to_stays_until_a_lease_after_the_tag_went(void **state)
{
    struct fixture *f = *state;

    push_image(f, 1, 0, "one");
    push_image(f, 2, 1, "two");
    push_image(f, 3, 1, "three");
    OK(f, tag(f, "a/b", "latest", 2));
    OK(f, tag(f, "c/d", "latest", 2));
    collect_after(f, 3 * HOUR);
    collect_after(f, 3 * HOUR);
    assert_true(is_seen(f, 1));
    assert_true(is_seen(f, 2));
    assert_false(has_record(f, 3));
    OK(f, delete_tag(&f->reg, "a/b", "latest", &alice, &f->arena, &f->err));
    collect_after(f, 3 * HOUR);
    assert_true(is_seen(f, 2));
    OK(f, delete_tag(&f->reg, "c/d", "latest", &alice, &f->arena, &f->err));
    collect_after(f, HOUR - 10 * SECOND);
    assert_true(is_seen(f, 2));
    collect_after(f, 20 * SECOND);
    assert_false(has_record(f, 2));
    assert_false(has_record(f, 1));
}

static void
a_tag_that_moves_away_takes_its_image_with_it(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", "config"), layer = fixture_blob(f, "a/b", "l");
    struct push p;

    push_image(f, 1, 0, "one");
    push_image(f, 2, 0, "two");
    OK(f, tag(f, "a/b", "x", 1));
    OK(f, tag(f, "a/b", "y", 2));
    OK(f, fixture_push(f, "a/b", "x", fixture_image(f, &config, &layer, ""), OCI_IMAGE, &p));
    OK(f, tag(f, "a/b", "x", 2));
    collect_after(f, HOUR + SECOND);
    assert_false(has_record(f, 1));
    assert_true(is_seen(f, 2));
}

/* A pusher was told of the base, which only another image keeps, and relies on it. */
static void
what_a_pusher_was_told_is_here_stays_for_a_lease(void **state)
{
    struct fixture *f = *state;
    struct digest base = id_of(1);
    struct image image;

    push_image(f, 1, 0, "base");
    push_image(f, 2, 1, "top");
    fixture_forward_ms(HOUR - MINUTE);
    OK(f, image_find(&f->reg, &base, true, &image, &f->err));
    collect_after(f, 2 * MINUTE);
    assert_false(has_record(f, 2));
    assert_true(is_seen(f, 1));
    OK(f, put_json(f, 3, 1));
    collect_after(f, HOUR - 2 * MINUTE);
    assert_true(is_seen(f, 1));
}

static void
an_image_without_a_layer_waits_for_it_as_an_upload_does(void **state)
{
    struct fixture *f = *state;

    f->reg.upload_expiry_ms = 10 * HOUR;
    OK(f, put_json(f, 1, 0));
    collect_after(f, 9 * HOUR);
    OK(f, put_layer(f, 1, "late"));
    OK(f, put_json(f, 2, 0));
    collect_after(f, 11 * HOUR);
    assert_false(has_record(f, 2));
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(an_image_comes_in_three_steps_and_each_is_told),
        TEST(a_json_that_is_none_is_refused),
        TEST(a_layer_needs_a_json_and_bytes),
        TEST(a_wrong_checksum_hides_the_image_until_it_is_mended),
        TEST(an_image_that_is_complete_never_changes),
        TEST(what_was_not_verified_may_come_again_until_a_tag_leads_to_it),
        TEST(the_same_layer_is_kept_once),
        TEST(a_chain_has_no_circle_and_an_end),
        TEST(a_chain_is_told_from_its_top_when_all_of_it_is_there),
        TEST(a_few_digits_are_enough_if_they_are_one_image),
        TEST(tags_lead_to_images_and_images_are_listed_after_their_parents),
        TEST(both_apis_move_and_delete_the_same_tags),
        TEST(each_tag_that_is_put_or_deleted_is_told),
        TEST(an_image_that_nothing_keeps_goes_with_its_chain_and_then_its_layers),
        TEST(what_a_tag_leads_to_stays_until_a_lease_after_the_tag_went),
        TEST(a_tag_that_moves_away_takes_its_image_with_it),
        TEST(what_a_pusher_was_told_is_here_stays_for_a_lease),
        TEST(an_image_without_a_layer_waits_for_it_as_an_upload_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
