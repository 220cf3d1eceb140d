#include "domain/core/config.h"
#include "domain/core/pull.h"

int
config_parse(struct bytes text, struct json **doc)
{
    struct err ignored;

    return json_parse_within(text, CONFIG_DEPTH_MAX, CONFIG_VALUES_MAX, doc, &ignored);
}

int
config_read(const struct registry *reg, const struct digest *config, struct arena *arena,
            struct bytes *text, struct json **doc, struct err *err)
{
    int rc;

    *text = bytes_of(NULL, 0);
    rc = pull_blob(reg, config, CONFIG_MAX, arena, text, err);
    return rc == 1 ? config_parse(*text, doc) == 0 : rc;
}
