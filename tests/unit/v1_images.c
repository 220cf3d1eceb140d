#include "v1_images.h"
#include <string.h>
#include <unistd.h>
#include "domain/v1/image.h"
#include "domain/v1/image_push.h"
#include "domain/v1/image_tag.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_image.h"

const struct actor v1_alice = {.user = "alice", .address = "192.0.2.1"};

struct digest
v1_id(unsigned n)
{
    struct digest id = {.algo = DIGEST_V1_ID};

    id.bytes[0] = (uint8_t)n;
    id.bytes[30] = (uint8_t)(n >> 8);
    id.bytes[31] = (uint8_t)n;
    return id;
}

const char *
v1_json(struct fixture *f, unsigned n, unsigned parent, const char *more)
{
    char id[DIGEST_TEXT_MAX], above[DIGEST_TEXT_MAX];
    struct digest d = v1_id(n);
    const char *text;

    digest_hex(id, &d);
    d = v1_id(parent);
    digest_hex(above, &d);
    text = parent != 0
               ? arena_printf(&f->arena, "{\"id\":\"%s\",\"parent\":\"%s\"%s}\n", id, above, more)
               : arena_printf(&f->arena, "{\"id\":\"%s\"%s}\n", id, more);
    assert_non_null(text);
    return text;
}

int
v1_put_text(struct fixture *f, unsigned n, const char *json)
{
    struct digest id = v1_id(n);

    return image_push_json(&f->reg, &id, bytes_str(json), &v1_alice, &f->err);
}

int
v1_put_json(struct fixture *f, unsigned n, unsigned parent)
{
    return v1_put_text(f, n, v1_json(f, n, parent, ""));
}

int
v1_put_layer(struct fixture *f, unsigned n, const char *layer)
{
    struct digest id = v1_id(n);
    const char *body = fixture_body(f, bytes_str(layer));
    int rc = image_push_layer(&f->reg, &id, body, strlen(layer), &v1_alice, &f->arena, &f->err);

    assert_int_equal(unlink(body), 0); /* as nginx does at the end */
    return rc;
}

const char *
v1_payload(struct fixture *f, const char *json, const char *layer)
{
    const char *both = arena_printf(&f->arena, "%s\n%s", json, layer);
    char text[DIGEST_TEXT_MAX];
    struct digest d = fixture_digest(both);

    digest_text(text, &d);
    return arena_strdup(&f->arena, text);
}

int
v1_verify(struct fixture *f, unsigned n, const char *payload)
{
    struct digest id = v1_id(n);

    return image_push_verify(&f->reg, &id, NULL, payload, &v1_alice, &f->arena, &f->err);
}

void
v1_push(struct fixture *f, unsigned n, unsigned parent, const char *layer)
{
    OK(f, v1_put_json(f, n, parent));
    OK(f, v1_put_layer(f, n, layer));
    OK(f, v1_verify(f, n, v1_payload(f, v1_json(f, n, parent, ""), layer)));
}

bool
v1_is_seen(struct fixture *f, unsigned n)
{
    struct digest id = v1_id(n);
    struct image image;

    if (image_find(&f->reg, &id, false, &image, &f->err) == 0)
        return true;
    assert_int_equal(f->err.code, ERR_NO_IMAGE);
    return false;
}

bool
v1_has_record(struct fixture *f, unsigned n)
{
    struct digest id = v1_id(n);
    struct rec_image r;
    int rc = tbl_image_get(kv_reads(f->reg.kv), &id, &r, &f->err);

    assert_in_range(rc, 0, 1);
    return rc == 1;
}

int
v1_tag(struct fixture *f, const char *repository, const char *name, unsigned n)
{
    struct digest id = v1_id(n);

    return image_tag_put(&f->reg, repository, name, &id, NULL, &v1_alice, &f->arena, &f->err);
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

void
v1_expect_events(struct fixture *f, const char *lines)
{
    struct buf b;

    buf_init(&b, 10000);
    OK(f, tbl_event_each(kv_reads(f->reg.kv), 0, see_event, &b, &f->err));
    assert_string_equal(buf_text(&b), lines);
    buf_free(&b);
}
