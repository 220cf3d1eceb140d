/* A line with the Content-Type, and a manifest. */
#include "domain/core/manifest.h"
#include "fuzz.h"

static void
check(const struct manifest *m)
{
    MUST(m->media_type != NULL && media_type_find(m->media_type->name) == m->media_type);
    MUST(m->artifact_type != NULL);
    MUST(m->artifact_type[0] == '\0' || media_type_is_valid(m->artifact_type));
    MUST(m->descriptors_n <= MANIFEST_DESCRIPTORS_MAX);
    MUST(!m->has_subject || digest_size(m->subject.algo) > 0);
    for (size_t i = 0; i < m->descriptors_n; i++) {
        const struct manifest_descriptor *d = &m->descriptors[i];
        MUST(d->digest.algo == DIGEST_SHA256 || d->digest.algo == DIGEST_SHA512);
        MUST((d->part == PART_CHILD) == (m->media_type->kind == DOCUMENT_INDEX));
    }
    if (m->media_type->kind == DOCUMENT_INDEX)
        MUST(m->config.algo == DIGEST_NONE);
    else
        MUST(m->descriptors_n > 0 && digest_equal(&m->config, &m->descriptors[0].digest));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct manifest m;
    struct arena arena;
    struct err err = {0};
    char *type = fuzz_line(&data, &n);
    arena_init(&arena, 8u << 20);
    if (manifest_parse(&m, bytes_of(data, n), type, &arena, &err) == 0) {
        check(&m);
    } else {
        MUST(err.code == ERR_BAD_MANIFEST || err.code == ERR_UNSUPPORTED ||
             err.code == ERR_BAD_DIGEST);
        MUST(err.message[0] != '\0');
    }
    arena_reset(&arena);
    free(type);
    return 0;
}
