/* A byte for the depth, and a JSON text. */
#include "fuzz.h"
#include "util/json.h"

static int walk(const struct json *j);

static int
walk_member(const char *name, const struct json *value, void *object)
{
    MUST(json_member(object, name) == value);
    return walk(value);
}

static int
walk(const struct json *j)
{
    uint64_t number;
    const char *text = json_string(j);
    MUST(text == NULL || json_type(j) == JSON_STRING);
    MUST(!json_u64(j, &number) || (json_type(j) == JSON_NUMBER && number < UINT64_MAX));
    for (size_t i = 0; i < json_length(j); i++)
        walk(json_item(j, i));
    MUST(json_item(j, json_length(j)) == NULL);
    return json_each(j, walk_member, (void *)j);
}

/* Writing and reading a document again gives the same document. */
static void
write_and_read(struct json *j, int depth)
{
    struct json *again;
    struct err err = {0};
    size_t n, again_n;
    const char *text = json_text(j, &n);
    MUST(json_parse(bytes_of(text, n), depth, &again, &err) == 0);
    const char *again_text = json_text(again, &again_n);
    MUST(n == again_n && memcmp(text, again_text, n) == 0);
    json_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct json *j;
    struct err err = {0};
    if (n == 0)
        return 0;
    int depth = data[0] % 40 + 1;
    if (json_parse(bytes_of(data + 1, n - 1), depth, &j, &err) == 0) {
        walk(j);
        write_and_read(j, depth);
        json_free(j);
    } else {
        MUST(err.code == ERR_BAD_REQUEST && err.message[0] != '\0');
    }
    return 0;
}
