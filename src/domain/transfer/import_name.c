#include "domain/transfer/import_name.h"
#include "domain/name.h"

/* Docker's rule: with a dot or a colon, or "localhost", it is no part of a name but a host. */
static bool
looks_like_host(const char *s, size_t n)
{
    return (n > 0 && s[0] != '.' && memchr(s, '.', n) != NULL) || memchr(s, ':', n) != NULL ||
           (n == strlen("localhost") && memcmp(s, "localhost", n) == 0);
}

static const char *
without_host(const char *reference)
{
    static const char *const docker[] = {"docker.io/library/", "index.docker.io/library/"};
    const char *slash = strchr(reference, '/');

    for (size_t i = 0; i < sizeof docker / sizeof *docker; i++)
        if (strncmp(reference, docker[i], strlen(docker[i])) == 0)
            return reference + strlen(docker[i]);
    return slash != NULL && looks_like_host(reference, (size_t)(slash - reference)) ? slash + 1
                                                                                    : reference;
}

bool
import_name_parse(struct import_name *n, const char *reference, const char *fallback)
{
    const char *name, *at;
    bool valid;

    if (strpbrk(reference, "/:") == NULL && name_is_tag(reference)) {
        snprintf(n->repository, sizeof n->repository, "%s", fallback);
        snprintf(n->tag, sizeof n->tag, "%s", reference);
        return name_is_repository(n->repository);
    }
    name = without_host(reference);
    at = strchr(name, '@'); /* a digest may stand behind, which says nothing new */
    valid =
        name_split(name, at != NULL ? (size_t)(at - name) : strlen(name), n->repository, n->tag);
    if (valid && n->tag[0] == '\0' && at == NULL)
        snprintf(n->tag, sizeof n->tag, "latest");
    return valid;
}

bool
import_name_parse_own(struct import_name *n, const char *text)
{
    return name_split(text, strlen(text), n->repository, n->tag);
}

static bool
ends_with(const char *s, size_t n, const char *end)
{
    return n > strlen(end) && memcmp(s + n - strlen(end), end, strlen(end)) == 0;
}

bool
import_name_of_file(char out[RECORD_REPOSITORY_MAX + 1], const char *file)
{
    static const char *const ends[] = {".gz",  ".zst",  ".xz",   ".bz2", ".tgz",
                                       ".txz", ".tbz2", ".tzst", ".tar", ".oci"};
    size_t n = strlen(file), length = 0;
    bool gap = false;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(file, n, ends[i]))
            n -= strlen(ends[i]);
    for (size_t i = 0; i < n && length < RECORD_REPOSITORY_MAX - 1; i++) {
        char c = file[i] >= 'A' && file[i] <= 'Z' ? (char)(file[i] - 'A' + 'a') : file[i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            gap = length > 0;
            continue;
        }
        if (gap)
            out[length++] = '-';
        gap = false;
        out[length++] = c;
    }
    out[length] = '\0';
    return name_is_repository(out);
}
