#include "protocol/browse_entry.h"

#include <stdlib.h>
#include <string.h>

#include "util/base64.h"
#include "util/utf8.h"
#include "util/banned.h"

static const char *
type_of(const struct layer_entry *e)
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

/* "name":"text", and "name_b64" when the text can't say it all. */
static void
put_text(struct buf *out, const char *name, struct bytes text)
{
    char *encoded;

    buf_putf(out, "\"%s\":", name);
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

/* Milliseconds, rounded down, also before 1970. */
static long long
milliseconds(const struct layer_entry *e)
{
    if (e->mtime > INT64_MAX / 1000 - 1 || e->mtime < INT64_MIN / 1000 + 1)
        return e->mtime > 0 ? INT64_MAX : INT64_MIN;
    return (long long)e->mtime * 1000 + e->nanos / 1000000;
}

void
browse_entry_put(struct buf *out, const struct browse_image *im, struct bytes path,
                 const struct layer_merge_node *node)
{
    const struct layer_entry *e = &node->entry;
    size_t layer = browse_layer_of(im, node);
    bool is_link = (e->flags & (LAYER_HARD_LINK | LAYER_LOWER)) != 0;
    char text[DIGEST_TEXT_MAX], slashed[BROWSE_PATH_MAX];

    if (e->type == LAYER_DIR && path.n > 1 && path.n < sizeof slashed) {
        memcpy(slashed, path.p, path.n);
        slashed[path.n] = '/';
        path = bytes_of(slashed, path.n + 1);
    }
    buf_putc(out, '{');
    put_text(out, "path", path);
    digest_hex(text, &im->ids[layer]);
    /* The tar header of a hard link says 0, and so did the original. */
    buf_putf(out, ",\"type\":\"%s\",\"size\":%llu,\"mode\":%lu,\"mtime\":%lld,\"image\":\"%s\"",
             type_of(e), e->type == LAYER_FILE && !is_link ? (unsigned long long)e->size : 0ull,
             (unsigned long)e->mode, milliseconds(e), text);
    if (is_link || e->type == LAYER_SYMLINK) {
        buf_putc(out, ',');
        put_text(out, "linkname", e->link);
    }
    digest_text(text, &im->layers[layer]);
    buf_putf(out, ",\"uid\":%llu,\"gid\":%llu,\"layer\":\"%s\"}", (unsigned long long)e->uid,
             (unsigned long long)e->gid, text);
}
