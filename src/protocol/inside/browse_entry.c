#include "protocol/inside/browse_entry.h"
#include "util/base64.h"
#include "util/utf8.h"

static const char *
entry_type_name(const struct layer_entry *e)
{
    if ((e->flags & (LAYER_HARD_LINK | LAYER_LOWER)) != 0)
        return "link";
    switch (e->type) {
    case LAYER_DIR:
        return "directory";
    case LAYER_SYMLINK:
        return "symlink";
    case LAYER_CHAR:
        return "character-device";
    case LAYER_BLOCK:
        return "block-device";
    case LAYER_FIFO:
        return "fifo";
    case LAYER_NONE:
    case LAYER_FILE:
        break;
    }
    return "file";
}

/* Puts "name":"text", and "name_b64" if the text isn't valid UTF-8. */
static void
put_text_member(struct buf *out, const char *name, struct bytes text)
{
    char *encoded;

    buf_putc(out, '"');
    buf_puts(out, name);
    buf_puts(out, "\":");
    if (utf8_put_json(out, text))
        return;
    buf_putf(out, ",\"%s_b64\":\"", name);
    encoded = buf_extend(out, BASE64_TEXT(text.n));
    if (encoded == NULL)
        return;
    base64_encode(encoded, text);
    buf_cut(out, out->n - BASE64_TEXT(text.n) + strlen(encoded));
    for (size_t n = strlen(encoded); n % 4 != 0; n++)
        buf_putc(out, '=');
    buf_putc(out, '"');
}

/* printf would take most of the time of a long list. */
static void
put_number_member(struct buf *out, const char *before, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    buf_puts(out, before);
    buf_put(out, digits + at, sizeof digits - at);
}

/* Rounded down, also before 1970. */
static void
put_milliseconds(struct buf *out, const struct layer_entry *e)
{
    int64_t ms;

    if (e->mtime > INT64_MAX / 1000 - 1)
        ms = INT64_MAX;
    else if (e->mtime < INT64_MIN / 1000 + 1)
        ms = INT64_MIN + 1;
    else
        ms = e->mtime * 1000 + e->nanos / 1000000;
    if (ms < 0)
        put_number_member(out, ",\"mtime\":-", (uint64_t)-ms);
    else
        put_number_member(out, ",\"mtime\":", (uint64_t)ms);
}

void
browse_entry_put_path(struct buf *out, struct bytes path, bool dir)
{
    char slashed[BROWSE_PATH_MAX];

    if (dir && path.n > 1 && path.n < sizeof slashed) {
        memcpy(slashed, path.p, path.n);
        slashed[path.n] = '/';
        path = bytes_of(slashed, path.n + 1);
    }
    put_text_member(out, "path", path);
}

static bool
is_hard_link(const struct layer_entry *e)
{
    return (e->flags & (LAYER_HARD_LINK | LAYER_LOWER)) != 0;
}

/* The members from the tar header. */
static void
put_header_members(struct buf *out, struct bytes path, const struct layer_entry *e)
{
    browse_entry_put_path(out, path, e->type == LAYER_DIR);
    buf_puts(out, ",\"type\":\"");
    buf_puts(out, entry_type_name(e));
    /* The header of a hard link says 0, and the original showed that. */
    put_number_member(out, "\",\"size\":", e->type == LAYER_FILE && !is_hard_link(e) ? e->size : 0);
    put_number_member(out, ",\"mode\":", e->mode);
    put_milliseconds(out, e);
}

void
browse_entry_put(struct buf *out, const struct browse_image *im, struct bytes path,
                 const struct layer_merge_node *node)
{
    const struct layer_entry *e = &node->entry;
    size_t layer = browse_layer_of(im, node);
    char text[DIGEST_TEXT_MAX];

    buf_putc(out, '{');
    put_header_members(out, path, e);
    buf_puts(out, ",\"image\":\"");
    digest_hex(text, &im->ids[layer]);
    buf_puts(out, text);
    buf_putc(out, '"');
    if (is_hard_link(e) || e->type == LAYER_SYMLINK) {
        buf_putc(out, ',');
        put_text_member(out, "linkname", e->link);
    }
    put_number_member(out, ",\"uid\":", e->uid);
    put_number_member(out, ",\"gid\":", e->gid);
    buf_puts(out, ",\"layer\":\"");
    digest_text(text, &im->layers[layer]);
    buf_puts(out, text);
    buf_puts(out, "\"}");
}

void
browse_entry_put_facts(struct buf *out, struct bytes path, const struct layer_entry *e,
                       const struct digest *layer)
{
    char text[DIGEST_TEXT_MAX];

    put_header_members(out, path, e);
    digest_text(text, layer);
    buf_puts(out, ",\"layer\":\"");
    buf_puts(out, text);
    buf_putc(out, '"');
}
