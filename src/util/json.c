#include "util/json.h"
#include <limits.h>
/* json-c has a type of the same name as ours, which is called jsonc_type here. */
#define json_type jsonc_type
#include <json-c/json.h>
#undef json_type
#include "util/mem.h"
#include "util/utf8.h"

/* json-c 0.16 in its strict mode accepts some texts that RFC 8259 doesn't: NaN and Infinity, names
 * in single quotes, control characters within strings, numbers like 00, 1. and -.5, UTF-8 that is
 * overlong, a surrogate or past U+10FFFF; and it cuts a name at an escaped NUL. These functions
 * find such texts before json-c reads them. Each returns NULL or the complaint. */
struct scan {
    const unsigned char *p;
    size_t n;
    size_t at;
    size_t values; /* an upper bound on the values in the first `at` bytes */
    size_t max_values;
};

static unsigned char
peek(const struct scan *s, size_t ahead)
{
    return ahead < s->n - s->at ? s->p[s->at + ahead] : '\0';
}

static bool
is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool
name_ends_here(const struct scan *s)
{
    size_t i = 0;

    while (peek(s, i) == ' ' || peek(s, i) == '\t' || peek(s, i) == '\n' || peek(s, i) == '\r')
        i++;
    return peek(s, i) == ':';
}

static const char *
scan_string(struct scan *s)
{
    bool nul = false;

    s->at++;
    while (s->at < s->n && peek(s, 0) != '"') {
        unsigned char c = peek(s, 0);
        size_t length = utf8_length(s->p + s->at, s->n - s->at);

        if (c < 0x20)
            return "a control character within a string";
        if (length == 0)
            return "invalid UTF-8";
        if (c == '\\') {
            nul = nul || (s->n - s->at >= 6 && memcmp(s->p + s->at, "\\u0000", 6) == 0);
            length += s->at + 1 < s->n;
        }
        s->at += length;
    }
    s->at += s->at < s->n;
    return nul && name_ends_here(s) ? "a NUL within a name" : NULL;
}

static const char *
scan_number(struct scan *s)
{
    s->at += peek(s, 0) == '-';
    if (s->at < s->n && !is_digit(peek(s, 0)))
        return "a number without digits";
    if (peek(s, 0) == '0' && is_digit(peek(s, 1)))
        return "a number with a leading zero";
    for (;; s->at++) {
        unsigned char c = peek(s, 0);

        if (c == '.' && !is_digit(peek(s, 1)))
            return "a number without digits behind its point";
        if (!is_digit(c) && (c == '\0' || strchr(".eE+-", c) == NULL))
            return NULL;
    }
}

static const char *
scan_text(struct scan *s)
{
    while (s->at < s->n) {
        unsigned char c = peek(s, 0);
        const char *complaint = NULL;

        if (c == '"') {
            complaint = scan_string(s);
        } else if (c == '-' || is_digit(c)) {
            complaint = scan_number(s);
        } else if (c == '\0') {
            complaint = "a NUL byte";
        } else if (strchr("{}[]:, \t\n\r.+E" /* and the words: */ "truefalsn", c) == NULL) {
            complaint = "unexpected character";
        } else {
            s->values += c == ',' || c == '[' || c == '{';
            s->at++;
        }
        if (s->values > s->max_values)
            complaint = "too many values";
        if (complaint != NULL)
            return complaint;
    }
    return NULL;
}

static int
refuse_json(struct err *err, size_t at, const char *complaint)
{
    return err_set(err, ERR_BAD_REQUEST, "JSON at byte %zu: %s", at, complaint);
}

int
json_parse_within(struct bytes text, int max_depth, size_t max_values, struct json **out,
                  struct err *err)
{
    struct scan scan = {.p = text.p, .n = text.n, .max_values = max_values};
    const char *complaint = scan_text(&scan);
    enum json_tokener_error status;
    struct json_tokener *tok;
    struct json_object *value;
    size_t at;

    *out = NULL;
    if (complaint != NULL)
        return refuse_json(err, scan.at, complaint);
    if (text.n > INT_MAX)
        return err_set(err, ERR_TOO_LARGE, "JSON of %zu bytes", text.n);
    tok = json_tokener_new_ex(max_depth);
    if (tok == NULL)
        mem_exhausted();
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    value = json_tokener_parse_ex(tok, text.n > 0 ? text.p : "", (int)text.n);
    at = json_tokener_get_parse_end(tok);
    if (json_tokener_get_error(tok) == json_tokener_continue) {
        /* The text ends with a number or word, which might continue: the NUL ends it. */
        value = json_tokener_parse_ex(tok, "", 1);
        at = text.n;
    }
    status = json_tokener_get_error(tok);
    json_tokener_free(tok);
    if (status != json_tokener_success)
        return refuse_json(err, at, json_tokener_error_desc(status));
    *out = (struct json *)value;
    return 0;
}

int
json_parse(struct bytes text, int max_depth, struct json **out, struct err *err)
{
    return json_parse_within(text, max_depth, JSON_VALUES_MAX, out, err);
}

void
json_free(struct json *j)
{
    json_object_put((struct json_object *)j);
}

/* json-c's readers take no const, but change nothing except what they cache. */
static struct json_object *
as_jsonc(const struct json *j)
{
    return (struct json_object *)j;
}

enum json_type
json_type(const struct json *j)
{
    switch (json_object_get_type(as_jsonc(j))) {
    case json_type_boolean:
        return JSON_BOOLEAN;
    case json_type_double:
    case json_type_int:
        return JSON_NUMBER;
    case json_type_string:
        return JSON_STRING;
    case json_type_array:
        return JSON_ARRAY;
    case json_type_object:
        return JSON_OBJECT;
    case json_type_null:
        break;
    }
    return JSON_NULL;
}

const struct json *
json_member(const struct json *object, const char *name)
{
    struct json_object *value = NULL;

    if (json_type(object) == JSON_OBJECT)
        json_object_object_get_ex(as_jsonc(object), name, &value);
    return (const struct json *)value;
}

bool
json_has(const struct json *object, const char *name)
{
    return json_type(object) == JSON_OBJECT &&
           json_object_object_get_ex(as_jsonc(object), name, NULL);
}

size_t
json_length(const struct json *array)
{
    return json_type(array) == JSON_ARRAY ? json_object_array_length(as_jsonc(array)) : 0;
}

const struct json *
json_item(const struct json *array, size_t i)
{
    if (i >= json_length(array))
        return NULL;
    return (const struct json *)json_object_array_get_idx(as_jsonc(array), i);
}

const char *
json_string(const struct json *j)
{
    const char *s = json_type(j) == JSON_STRING ? json_object_get_string(as_jsonc(j)) : NULL;

    return s != NULL && strlen(s) == (size_t)json_object_get_string_len(as_jsonc(j)) ? s : NULL;
}

bool
json_u64(const struct json *j, uint64_t *out)
{
    uint64_t v;

    if (json_object_get_type(as_jsonc(j)) != json_type_int ||
        json_object_get_int64(as_jsonc(j)) < 0)
        return false;
    /* json-c turns larger numbers into UINT64_MAX. */
    v = json_object_get_uint64(as_jsonc(j));
    if (v == UINT64_MAX)
        return false;
    *out = v;
    return true;
}

bool
json_i64(const struct json *j, int64_t *out)
{
    int64_t v;

    if (json_object_get_type(as_jsonc(j)) != json_type_int)
        return false;
    v = json_object_get_int64(as_jsonc(j));
    if (v == INT64_MIN || (v >= 0 && json_object_get_uint64(as_jsonc(j)) > INT64_MAX))
        return false;
    *out = v;
    return true;
}

static int
is_inexact(const char *name, const struct json *value, void *arg)
{
    (void)name;
    (void)arg;
    return !json_is_exact(value);
}

bool
json_is_exact(const struct json *j)
{
    uint64_t u;
    int64_t i;

    for (size_t n = 0; n < json_length(j); n++)
        if (!json_is_exact(json_item(j, n)))
            return false;
    if (json_object_get_type(as_jsonc(j)) == json_type_int)
        return json_u64(j, &u) || json_i64(j, &i);
    return json_each(j, is_inexact, NULL) == 0;
}

bool
json_is_true(const struct json *j)
{
    return json_type(j) == JSON_BOOLEAN && json_object_get_boolean(as_jsonc(j));
}

int
json_each(const struct json *object,
          int (*fn)(const char *name, const struct json *value, void *arg), void *arg)
{
    struct json_object_iterator it, end;
    int rc = 0;

    if (json_type(object) != JSON_OBJECT)
        return 0;
    it = json_object_iter_begin(as_jsonc(object));
    end = json_object_iter_end(as_jsonc(object));
    for (; rc == 0 && !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
        rc = fn(json_object_iter_peek_name(&it),
                (const struct json *)json_object_iter_peek_value(&it), arg);
    return rc;
}

static struct json *
not_null(struct json_object *value)
{
    if (value == NULL)
        mem_exhausted();
    return (struct json *)value;
}

struct json *
json_new_object(void)
{
    return not_null(json_object_new_object());
}

struct json *
json_new_array(void)
{
    return not_null(json_object_new_array());
}

void
json_set(struct json *object, const char *name, struct json *value)
{
    if (json_object_object_add(as_jsonc(object), name, as_jsonc(value)) != 0)
        mem_exhausted();
}

void
json_set_string(struct json *object, const char *name, const char *value)
{
    json_set(object, name, not_null(json_object_new_string(value)));
}

void
json_set_u64(struct json *object, const char *name, uint64_t value)
{
    json_set(object, name, not_null(json_object_new_uint64(value)));
}

void
json_set_i64(struct json *object, const char *name, int64_t value)
{
    json_set(object, name, not_null(json_object_new_int64(value)));
}

void
json_set_bool(struct json *object, const char *name, bool value)
{
    json_set(object, name, not_null(json_object_new_boolean(value)));
}

void
json_add(struct json *array, struct json *value)
{
    if (json_object_array_add(as_jsonc(array), as_jsonc(value)) != 0)
        mem_exhausted();
}

void
json_add_string(struct json *array, const char *value)
{
    json_add(array, not_null(json_object_new_string(value)));
}

struct json *
json_copy(const struct json *j)
{
    struct json_object *copy = NULL;

    if (j != NULL && json_object_deep_copy(as_jsonc(j), &copy, NULL) != 0)
        mem_exhausted();
    return (struct json *)copy;
}

const char *
json_text(struct json *j, size_t *n)
{
    const char *text = json_object_to_json_string_length(
        as_jsonc(j), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, n);

    if (text == NULL)
        mem_exhausted();
    return text;
}

void
json_put(struct json *j, struct buf *out)
{
    size_t n;
    const char *text = json_text(j, &n);

    buf_put(out, text, n);
    json_free(j);
}
