/* A configuration file. */
#include "fuzz.h"
#include "util/kvfile.h"

static bool
is_trimmed(const char *s)
{
    size_t n = strlen(s);
    return n == 0 || (strchr(" \t\r", s[0]) == NULL && strchr(" \t\r", s[n - 1]) == NULL);
}

static int
take(const char *name, const char *value, int line, void *arg, struct err *err)
{
    int *before = arg;
    (void)err;
    MUST(name[0] != '\0' && is_trimmed(name) && strchr(name, '=') == NULL);
    MUST(value == NULL || is_trimmed(value));
    MUST(line > *before);
    *before = line;
    return line == 1000 ? 7 : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err err = {0};
    int line = 0;
    int r = kvfile_each(bytes_of(data, n), take, &line, &err);
    MUST(r == 0 || r == -1 || r == 7);
    MUST(r != -1 || (err.code == ERR_BAD_REQUEST && err.message[0] != '\0'));
    MUST((r == 7) == (line == 1000));
    return 0;
}
