#include "domain/core/media_type.h"
#include <strings.h>

static const struct media_type known_types[] = {
    {"application/vnd.oci.image.manifest.v1+json", DOCUMENT_IMAGE},
    {"application/vnd.oci.image.index.v1+json", DOCUMENT_INDEX},
    {"application/vnd.docker.distribution.manifest.v2+json", DOCUMENT_IMAGE},
    {"application/vnd.docker.distribution.manifest.list.v2+json", DOCUMENT_INDEX},
};

const struct media_type *
media_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof known_types / sizeof known_types[0]; i++)
        if (strcasecmp(known_types[i].name, name) == 0)
            return &known_types[i];
    return NULL;
}

bool
media_type_is_schema1(const char *name)
{
    return strcasecmp(name, "application/vnd.docker.distribution.manifest.v1+json") == 0 ||
           strcasecmp(name, "application/vnd.docker.distribution.manifest.v1+prettyjws") == 0;
}

static size_t
restricted_name_length(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&-^_.+");

    return n > 127 || strspn(s, "!#$&-^_.+") > 0 ? 0 : n;
}

bool
media_type_is_valid(const char *name)
{
    size_t type = restricted_name_length(name), subtype;

    if (type == 0 || name[type] != '/')
        return false;
    subtype = restricted_name_length(name + type + 1);
    return subtype > 0 && name[type + 1 + subtype] == '\0';
}
