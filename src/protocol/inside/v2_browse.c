#include "protocol/inside/v2_browse.h"
#include "domain/inside/browse_history.h"
#include "protocol/http/reference.h"
#include "protocol/inside/browse_blob.h"
#include "protocol/inside/browse_view.h"
#include "util/parse.h"

int
v2_browse_open_other(struct call *c, const char *text, struct browse_image **im, struct err *err)
{
    struct reference reference;

    if (reference_parse(text, &reference, err) != 0 || (*im = browse_view_room(c, err)) == NULL)
        return -1;
    return browse_open_manifest(c->reg, c->name, &reference, query_get(&c->query, "platform"),
                                c->arena, *im, err);
}

int
v2_browse_open(struct call *c, struct browse_image **im, struct err *err)
{
    return v2_browse_open_other(c, c->first, im, err);
}

int
v2_browse_tree(struct call *c, struct err *err)
{
    struct browse_image *im;
    const char *base;

    if (call_text(c, &base, err, "/v2/%s/_image/%s/tree", c->name, c->first) != 0 ||
        v2_browse_open(c, &im, err) != 0)
        return -1;
    return browse_view_tree(c, im, base, err);
}

int
v2_browse_blob(struct call *c, struct err *err)
{
    struct browse_image *im;

    return v2_browse_open(c, &im, err) != 0 ? -1 : browse_blob_send(c, im, err);
}

int
v2_browse_stat(struct call *c, struct err *err)
{
    struct browse_image *im;

    return v2_browse_open(c, &im, err) != 0 ? -1 : browse_view_stat(c, im, err);
}

int
v2_browse_layer_number(const struct call *c, const struct browse_image *im, size_t *layer,
                       struct err *err)
{
    uint64_t n;

    if (!parse_u64(c->last, strlen(c->last), &n))
        return err_set(err, ERR_NO_FILE, "invalid layer %s: layers have numbers from 0", c->last);
    if (n >= im->n)
        return err_set(err, ERR_NO_FILE, "there is no layer %s: this image has %zu", c->last,
                       im->n);
    *layer = im->n - 1 - (size_t)n;
    return 0;
}

int
v2_browse_layer(struct call *c, struct err *err)
{
    struct browse_image *im;
    const char *base;
    size_t layer = 0;

    if (call_text(c, &base, err, "/v2/%s/_image/%s/layers/%s/tree", c->name, c->first, c->last) !=
            0 ||
        v2_browse_open(c, &im, err) != 0)
        return -1;
    if (v2_browse_layer_number(c, im, &layer, err) != 0) {
        browse_close(im);
        return -1;
    }
    browse_alone(im, layer);
    return browse_view_tree(c, im, base, err);
}

static struct json *
step_json(const struct browse_image *im, const struct browse_step *s)
{
    struct json *o = json_new_object();
    char digest[DIGEST_TEXT_MAX] = "";

    if (!s->empty)
        digest_text(digest, &im->layers[s->layer]);
    json_set_string(o, "created", s->created);
    json_set_string(o, "created_by", s->created_by);
    if (s->empty || im->here[s->layer])
        json_set_u64(o, "size", s->empty ? 0 : im->sizes[s->layer]);
    else
        json_set(o, "size", NULL);
    json_set_bool(o, "empty", s->empty);
    json_set_string(o, "digest", digest);
    if (s->empty || s->known)
        json_set_u64(o, "files", s->files);
    else
        json_set(o, "files", NULL);
    if (s->empty || s->visible_known)
        json_set_u64(o, "hidden_bytes", s->hidden_bytes);
    else
        json_set(o, "hidden_bytes", NULL);
    return o;
}

int
v2_browse_history(struct call *c, struct err *err)
{
    struct browse_image *im;
    struct browse_step *steps;
    struct json *body;
    size_t n;

    if (v2_browse_open(c, &im, err) != 0)
        return -1;
    if (browse_history(im, c->arena, &steps, &n, err) != 0) {
        browse_close(im);
        return -1;
    }
    body = json_new_array();
    for (size_t i = 0; i < n; i++)
        json_add(body, step_json(im, &steps[i]));
    browse_close(im);
    return call_json(c, 200, body, err);
}
