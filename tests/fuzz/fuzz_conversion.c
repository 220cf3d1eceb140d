/* The JSONs of a chain of v1 images, the base first, with NUL between. */
#include <strings.h>
#include "domain/core/chain_id.h"
#include "domain/v1/conversion.h"
#include "domain/core/manifest.h"
#include "fuzz.h"
#include "util/clock.h"
#include "util/json.h"

static int
convert(const uint8_t *data, size_t n, struct arena *arena, struct conversion *c, size_t *layers,
        struct err *err)
{
    struct conversion_draft *d = conversion_begin();
    struct conversion_layer layer = {.size = 17};
    int rc = 0;

    MUST(d != NULL);
    *layers = 0;
    digest_of(&layer.diff_id, DIGEST_SHA256, bytes_of("diff", 4));
    while (rc == 0) {
        const uint8_t *end = n > 0 ? memchr(data, '\0', n) : NULL;
        size_t one = end != NULL ? (size_t)(end - data) : n;
        char *json = fuzz_text(data, one);

        digest_of(&layer.blob, DIGEST_SHA256, bytes_of(layers, sizeof *layers));
        layer.format = (enum inflate_format)(*layers % INFLATE_FORMATS);
        rc = conversion_add(d, &layer, bytes_of(json, one), err);
        free(json);
        ++*layers;
        if (end == NULL)
            break;
        data += one + 1;
        n -= one + 1;
    }
    if (rc == 0)
        rc = conversion_finish(d, arena, c, err);
    conversion_free(d);
    return rc;
}

/* Members that clients read into fixed types, or that are ours alone. */
static const struct {
    const char *name;
    enum json_type type;
} fixed[] = {
    {"architecture", JSON_STRING},     {"author", JSON_STRING},
    {"comment", JSON_STRING},          {"config", JSON_OBJECT},
    {"container", JSON_STRING},        {"created", JSON_STRING},
    {"container_config", JSON_OBJECT}, {"docker_version", JSON_STRING},
    {"history", JSON_ARRAY},           {"os", JSON_STRING},
    {"os.features", JSON_ARRAY},       {"os.version", JSON_STRING},
    {"rootfs", JSON_OBJECT},           {"variant", JSON_STRING},
};
static const char *const gone[] = {"id", "parent", "parent_id", "layer_id", "throwaway", "size"};

static int
see_member(const char *name, const struct json *value, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        MUST(strcasecmp(name, gone[i]) != 0);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcasecmp(name, fixed[i].name) == 0) {
            MUST(strcmp(name, fixed[i].name) == 0);
            MUST(json_type(value) == fixed[i].type);
        }
    return 0;
}

static void
check_strings(const struct json *list)
{
    MUST(json_type(list) == JSON_ARRAY || json_type(list) == JSON_NULL);
    for (size_t i = 0; i < json_length(list); i++)
        MUST(json_string(json_item(list, i)) != NULL);
}

static void
check_config(const struct conversion *c, size_t layers)
{
    struct json *doc;
    struct err err = {0};
    const struct json *config, *history;

    MUST(json_parse(c->config, 64, &doc, &err) == 0);
    json_each(doc, see_member, NULL);
    config = json_member(doc, "config");
    history = json_member(doc, "history");
    MUST(json_type(config) == JSON_OBJECT && json_length(history) == layers);
    MUST(json_string(json_member(doc, "architecture"))[0] != '\0');
    MUST(json_string(json_member(doc, "os"))[0] != '\0');
    MUST(clock_is_rfc3339(json_string(json_member(doc, "created"))));
    for (size_t i = 0; i < layers; i++)
        MUST(clock_is_rfc3339(json_string(json_member(json_item(history, i), "created"))));
    check_strings(json_member(config, "Cmd"));
    check_strings(json_member(config, "Entrypoint"));
    check_strings(json_member(config, "Env"));
    MUST(json_type(json_member(config, "User")) == JSON_NULL ||
         json_string(json_member(config, "User")) != NULL);
    MUST(json_member(config, "user") == NULL);
    json_free(doc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct conversion c, again;
    struct arena arena;
    struct err err = {0};
    struct manifest m;
    struct digest *chain;
    size_t layers;

    arena_init(&arena, 64u << 20);
    if (convert(data, n, &arena, &c, &layers, &err) != 0) {
        MUST(err.code == ERR_BAD_IMAGE && err.message[0] != '\0');
    } else {
        check_config(&c, layers);
        MUST(chain_id_parse(c.config, layers, &arena, &chain, &err) == 1);
        MUST(manifest_parse(&m, c.manifest, CONVERSION_MEDIA_TYPE, &arena, &err) == 0);
        MUST(m.is_image && m.descriptors_n == layers + 1);
        MUST(digest_equal(&m.config, &c.config_digest));
        MUST(convert(data, n, &arena, &again, &layers, &err) == 0);
        MUST(bytes_equal(c.config, again.config) && bytes_equal(c.manifest, again.manifest));
    }
    arena_reset(&arena);
    return 0;
}
