#include "domain/transfer/import_listing.h"
#include "util/parse.h"
#include "util/mem.h"

#define DEPTH_MAX 64
#define IMAGES_MAX 1000000

static int
wrong(size_t line, const char *why, struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST, "line %zu of the listing: %.200s", line, why);
}

/* Cuts off the first word, and the blank behind it. */
static struct bytes
word(struct bytes *rest)
{
    const char *blank = rest->n > 0 ? memchr(rest->p, ' ', rest->n) : NULL;
    size_t n = blank != NULL ? (size_t)(blank - (const char *)rest->p) : rest->n;
    struct bytes w = bytes_of(rest->p, n);
    size_t used = blank != NULL ? n + 1 : n;

    *rest = bytes_of((const char *)rest->p + used, rest->n - used);
    return w;
}

static bool
is_word(struct bytes w, const char *text)
{
    return bytes_equal(w, bytes_str(text));
}

static int
parse_tags_line(struct import_listing *l, struct bytes rest, size_t line, struct err *err)
{
    if (l->tags != NULL)
        return wrong(line, "a second line with tags", err);
    if (json_parse(rest, DEPTH_MAX, &l->tags, err) != 0) {
        l->tags = NULL;
        return wrong(line, err->message, err);
    }
    return json_type(l->tags) == JSON_OBJECT ? 0 : wrong(line, "the tags are not an object", err);
}

static int
read_parent(struct import_listing_image *image, struct err *err)
{
    const char *parent;
    struct json *doc;
    int rc = 0;

    if (json_parse(image->json, DEPTH_MAX, &doc, err) != 0)
        return -1;
    parent = json_string(json_member(doc, "parent"));
    if (parent != NULL && parent[0] != '\0')
        rc = digest_parse_v1_id(&image->parent, parent, strlen(parent), err);
    json_free(doc);
    return rc == 0 ? 0 : err_set(err, ERR_BAD_REQUEST, "its parent is not an id");
}

int
import_listing_add(struct import_listing *l, const struct import_listing_image *image,
                   struct err *err)
{
    struct import_listing_image added = *image;

    if (read_parent(&added, err) != 0)
        return -1;
    if (l->n == IMAGES_MAX)
        return err_set(err, ERR_BAD_REQUEST, "there are more than %d images", IMAGES_MAX);
    l->v = mem_grow(l->v, &l->room, l->n + 1, sizeof *l->v);
    l->v[l->n++] = added;
    return 0;
}

static int
parse_image_line(struct import_listing *l, struct bytes rest, size_t line, struct err *err)
{
    struct bytes id = word(&rest), size = word(&rest), checksum = word(&rest);
    struct import_listing_image image = {.json = rest};

    if (digest_parse_v1_id(&image.id, id.p, id.n, err) != 0)
        return wrong(line, "not the id of an image", err);
    if (is_word(size, "-"))
        image.size = UINT64_MAX;
    else if (!parse_u64(size.p, size.n, &image.size))
        return wrong(line, "not a size", err);
    if (!is_word(checksum, "-") && digest_parse(&image.checksum, checksum.p, checksum.n, err) != 0)
        return wrong(line, "not a checksum (sha256:<hex> or -)", err);
    return import_listing_add(l, &image, err) == 0 ? 0 : wrong(line, err->message, err);
}

static int
compare_listed_ids(const void *a, const void *b)
{
    const struct import_listing_image *x = a, *y = b;

    return digest_compare(&x->id, &y->id);
}

void
import_listing_sort(struct import_listing *l)
{
    if (l->n > 0)
        qsort(l->v, l->n, sizeof *l->v, compare_listed_ids);
}

static int
parse_listing_line(struct import_listing *l, struct bytes line, size_t number, struct err *err)
{
    const char *p = line.p;
    struct bytes kind;

    if (line.n > 0 && p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || p[0] == '#')
        return 0;
    kind = word(&line);
    if (is_word(kind, "tags"))
        return parse_tags_line(l, line, number, err);
    if (is_word(kind, "image"))
        return parse_image_line(l, line, number, err);
    return wrong(number, "neither tags nor an image: did contrib/original-listing write this?",
                 err);
}

int
import_listing_parse(struct import_listing *l, struct bytes text, struct err *err)
{
    const char *p = text.p, *end = p + text.n;
    int rc = 0;

    *l = (struct import_listing){.tags = NULL};
    for (size_t line = 1; rc == 0 && p < end; line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));

        if (stop == NULL)
            stop = end;
        rc = parse_listing_line(l, bytes_of(p, (size_t)(stop - p)), line, err);
        p = stop + 1;
    }
    import_listing_sort(l);
    if (rc != 0)
        import_listing_free(l);
    return rc;
}

void
import_listing_free(struct import_listing *l)
{
    json_free(l->tags);
    free(l->v);
    *l = (struct import_listing){.tags = NULL};
}

const struct import_listing_image *
import_listing_find(const struct import_listing *l, const struct digest *id)
{
    struct import_listing_image key = {.id = *id};

    return l->n > 0 ? bsearch(&key, l->v, l->n, sizeof *l->v, compare_listed_ids) : NULL;
}
