/* The output of contrib/original-listing. */
#include "fuzz.h"
#include "domain/transfer/import_listing.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = fuzz_text(data, n);
    struct import_listing l;
    struct err err = {0};
    if (import_listing_parse(&l, bytes_of(text, n), &err) != 0) {
        MUST(err.code != ERR_NONE && err.message[0] != '\0');
        free(text);
        return 0;
    }
    MUST(l.tags == NULL || json_type(l.tags) == JSON_OBJECT);
    for (size_t i = 0; i < l.n; i++) {
        const struct import_listing_image *image = &l.v[i];
        const char *json = image->json.p;
        MUST(image->id.algo == DIGEST_V1_ID && json >= text && json + image->json.n <= text + n);
        MUST(image->parent.algo == DIGEST_NONE || image->parent.algo == DIGEST_V1_ID);
        MUST(i == 0 || digest_compare(&l.v[i - 1].id, &image->id) <= 0);
        const struct import_listing_image *found = import_listing_find(&l, &image->id);
        MUST(found != NULL && digest_equal(&found->id, &image->id));
    }
    import_listing_free(&l);
    free(text);
    return 0;
}
