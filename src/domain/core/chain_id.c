#include "domain/core/chain_id.h"

#include <string.h>

#include "storage/files/blob_file.h"
#include "storage/tables/tbl_blob.h"
#include "util/arena.h"
#include "util/json.h"
#include "util/banned.h"

#define DEPTH_MAX 32

/* chain(0) = diff(0), chain(i) = sha256(chain(i - 1) " " diff(i)), both as text. */
static int
link_up(const struct json *diff_ids, size_t n, struct digest *chain)
{
    char text[2 * DIGEST_TEXT_MAX];
    struct err ignored;

    for (size_t i = 0; i < n; i++) {
        const char *diff = json_string(json_item(diff_ids, i));
        struct digest d;

        if (diff == NULL || digest_parse(&d, diff, strlen(diff), &ignored) != 0 ||
            d.algo != DIGEST_SHA256)
            return 0;
        if (i > 0) {
            digest_text(text, &chain[i - 1]);
            size_t at = strlen(text);
            text[at] = ' ';
            memcpy(text + at + 1, diff, strlen(diff) + 1);
            digest_of(&d, DIGEST_SHA256, bytes_str(text));
        }
        chain[i] = d;
    }
    return 1;
}

int
chain_id_parse(struct bytes config, size_t n, struct arena *arena, struct digest **chain,
               struct err *err)
{
    const struct json *diff_ids;
    struct err ignored;
    struct json *doc;
    int rc = 0;

    if (n > CHAIN_ID_LAYERS_MAX || json_parse(config, DEPTH_MAX, &doc, &ignored) != 0)
        return 0;
    diff_ids = json_member(json_member(doc, "rootfs"), "diff_ids");
    if (json_type(diff_ids) == JSON_ARRAY && json_length(diff_ids) == n) {
        *chain = arena_array(arena, n + 1, sizeof **chain);
        rc = *chain != NULL ? link_up(diff_ids, n, *chain) : arena_full(err);
    }
    json_free(doc);
    return rc;
}

int
chain_id_read(const struct registry *reg, const struct digest *config, size_t n,
              struct arena *arena, struct digest **chain, struct err *err)
{
    struct rec_blob r;
    struct err ignored;
    int rc = tbl_blob_get(kv_reads(reg->kv), config, &r, err);
    char *text;

    if (rc != 1)
        return rc;
    if (n > CHAIN_ID_LAYERS_MAX || r.size > CHAIN_ID_CONFIG_MAX)
        return 0;
    text = arena_alloc(arena, (size_t)r.size + 1);
    if (text == NULL)
        return arena_full(err);
    if (blob_file_read(reg->dirfd, config, r.instance, text, (size_t)r.size, &ignored) != 0)
        return 0;
    return chain_id_parse(bytes_of(text, (size_t)r.size), n, arena, chain, err);
}
