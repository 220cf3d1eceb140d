/* A line with a pattern, and a path: held against the C library's fnmatch where both mean the same,
 * and against a plain table of all places of both. */
#include <fnmatch.h>
#include "fuzz.h"
#include "util/glob.h"

#define TEXT_MAX 512

static bool table[GLOB_MAX + 2][TEXT_MAX + 1];

/* The same question, without brackets and without components of two stars: table[i][k] says whether
 * p from i on fits text from k on. */
static bool
plainly(const char *p, const char *text)
{
    size_t pn = strlen(p), n = strlen(text);

    for (size_t i = pn + 1; i-- > 0;) {
        size_t end = i + strspn(p + i, "*");
        bool escaped = p[i] == '\\' && p[i + 1] != '\0';
        char c = escaped ? p[i + 1] : p[i];

        for (size_t k = n + 1; k-- > 0;) {
            bool *fits = &table[i][k];

            if (i == pn)
                *fits = k == n;
            else if (p[i] == '*')
                *fits =
                    table[end][k] || (k < n && (text[k] != '/' || end - i > 1) && table[i][k + 1]);
            else if (p[i] == '?')
                *fits = k < n && text[k] != '/' && table[i + 1][k + 1];
            else
                *fits = k < n && text[k] == c && table[i + 1 + escaped][k + 1];
        }
    }
    return table[0][0];
}

static bool
has_component(const char *p)
{
    for (const char *s = strstr(p, "**/"); s != NULL; s = strstr(s + 1, "**/"))
        if (s == p || s[-1] == '/')
            return true;
    return false;
}

static size_t
stars(const char *p)
{
    size_t n = 0;

    for (; *p != '\0'; p++)
        n += *p == '*';
    return n;
}

static bool
is_fnmatchs(const char *p)
{
    return strstr(p, "**") == NULL && stars(p) < 5 && strstr(p, "[.") == NULL &&
           strstr(p, "[=") == NULL && strstr(p, "[:") == NULL &&
           (strchr(p, '[') == NULL || strchr(p, '/') == NULL) && strchr(p, '\\') == NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *pattern = fuzz_line(&data, &n), *text = fuzz_text(data, n);
    static struct glob g;
    struct err err;
    bool fits;

    if (glob_compile(&g, bytes_str(pattern), &err) != 0) {
        MUST(err.code == ERR_TOO_LONG && strlen(pattern) > GLOB_MAX);
    } else {
        fits = glob_match(&g, bytes_str(text));
        if (strchr(pattern, '[') == NULL && strlen(text) <= TEXT_MAX && !has_component(pattern))
            MUST(fits == plainly(pattern, text));
        if (is_fnmatchs(pattern) && strlen(text) < 200)
            MUST(fits == (fnmatch(pattern, text, FNM_PATHNAME) == 0));
        glob_match(&g, bytes_of(data, n));
    }
    free(pattern);
    free(text);
    return 0;
}
