#include "domain/inside/image_label.h"
#include "domain/core/config.h"
#include "util/json.h"
#include "util/utf8.h"

/* Memory for one config. */
#define LABEL_MEMORY (2 * (size_t)CONFIG_MAX)

int
image_label_parse(struct image_label *l, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    size_t n = equals != NULL ? (size_t)(equals - text) : strlen(text);

    *l = (struct image_label){.any = equals == NULL};
    if (n == 0)
        return err_set(err, ERR_BAD_REQUEST, "a label has the form KEY or KEY=VALUE");
    if (n > IMAGE_LABEL_MAX || (equals != NULL && strlen(equals + 1) > IMAGE_LABEL_MAX))
        return err_set(err, ERR_TOO_LONG, "the label is longer than %d bytes", IMAGE_LABEL_MAX);
    memcpy(l->key, text, n);
    if (equals != NULL)
        memcpy(l->value, equals + 1, strlen(equals + 1));
    return 0;
}

/* A copy that is cut in front of a character. */
static int
copy_label_value(const char *value, struct arena *arena, const char **out, struct err *err)
{
    size_t n = strlen(value);
    char *copy;

    if (n > IMAGE_LABEL_SHOWN)
        for (n = IMAGE_LABEL_SHOWN; n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80; n--)
            ;
    copy = arena_copy(arena, value, n);
    if (copy == NULL)
        return arena_full(err);
    *out = copy;
    return 1;
}

int
image_label_find(const struct registry *reg, const struct image_label *l,
                 const struct digest *config, struct arena *arena, const char **value,
                 struct err *err)
{
    struct arena own;
    struct bytes text;
    struct json *doc;
    const char *is;
    int rc;

    arena_init(&own, LABEL_MEMORY);
    rc = config_read(reg, config, &own, &text, &doc, err);
    if (rc == 1) {
        is = json_string(json_member(json_member(json_member(doc, "config"), "Labels"), l->key));
        rc = is != NULL && (l->any || strcmp(is, l->value) == 0)
                 ? copy_label_value(is, arena, value, err)
                 : 0;
        json_free(doc);
    } else if (rc == 0) {
        rc = err_set(err, ERR_NOT_BROWSABLE, "there is no config that can be read");
    }
    arena_reset(&own);
    return rc;
}
