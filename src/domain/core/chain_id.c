#include "domain/core/chain_id.h"
#include "domain/core/config.h"
#include "domain/core/pull.h"

/* chain(0) = diff(0), chain(i) = sha256(chain(i - 1) " " diff(i)), both as text. */
void
chain_id_next(struct digest *chain, const struct digest *diff)
{
    char before[DIGEST_TEXT_MAX], by[DIGEST_TEXT_MAX], text[2 * DIGEST_TEXT_MAX];

    if (chain->algo == DIGEST_NONE) {
        *chain = *diff;
        return;
    }
    digest_text(before, chain);
    digest_text(by, diff);
    snprintf(text, sizeof text, "%s %s", before, by);
    digest_of(chain, DIGEST_SHA256, bytes_str(text));
}

static int
link_chain_ids(const struct json *diff_ids, size_t n, struct digest *chain)
{
    struct digest at = {.algo = DIGEST_NONE};
    struct err ignored;

    for (size_t i = 0; i < n; i++) {
        const char *diff = json_string(json_item(diff_ids, i));
        struct digest d;

        if (diff == NULL || digest_parse(&d, diff, strlen(diff), &ignored) != 0 ||
            d.algo != DIGEST_SHA256)
            return 0;
        chain_id_next(&at, &d);
        chain[i] = at;
    }
    return 1;
}

int
chain_id_parse(struct bytes config, size_t n, struct arena *arena, struct digest **chain,
               struct err *err)
{
    const struct json *diff_ids;
    struct json *doc;
    int rc = 0;

    if (n > CHAIN_ID_LAYERS_MAX || config.n > CHAIN_ID_CONFIG_MAX ||
        config_parse(config, &doc) != 0)
        return 0;
    diff_ids = json_member(json_member(doc, "rootfs"), "diff_ids");
    if (json_type(doc) == JSON_OBJECT && json_length(diff_ids) == n &&
        (json_type(diff_ids) == JSON_ARRAY || json_type(diff_ids) == JSON_NULL)) {
        *chain = arena_array(arena, n + 1, sizeof **chain);
        rc = *chain != NULL ? link_chain_ids(diff_ids, n, *chain) : arena_full(err);
    }
    json_free(doc);
    return rc;
}

int
chain_id_read(const struct registry *reg, const struct digest *config, size_t n,
              struct arena *arena, struct digest **chain, struct err *err)
{
    struct bytes text;
    int rc = n > CHAIN_ID_LAYERS_MAX
                 ? 0
                 : pull_blob(reg, config, CHAIN_ID_CONFIG_MAX, arena, &text, err);

    /* A file that can't be read has no chain ids, so that its manifest can still be deleted. */
    if (rc < 0 && (err->code == ERR_CORRUPT || err->code == ERR_SYSTEM))
        return 0;
    return rc == 1 ? chain_id_parse(text, n, arena, chain, err) : rc;
}
