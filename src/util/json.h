#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* JSON (RFC 8259) with json-c, which is visible only to json.c. A value that was read belongs to
 * its document. A value that was made belongs to the object or array that it was put into. */
struct json;

enum json_type {
    JSON_NULL,
    JSON_BOOLEAN,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

#define JSON_VALUES_MAX 200000

/* Parses strictly: valid UTF-8, one value with nothing but white space behind it, no deeper than
 * max_depth (the value itself has depth 1, its members depth 2), and at most max_values values,
 * since each of them costs json-c a microsecond and a hundred bytes or more. If members share a
 * name, the last one counts. Returns 0 and *out, or -1 and ERR_BAD_REQUEST with a message that
 * names the fault and its place. */
int json_parse_within(struct bytes text, int max_depth, size_t max_values, struct json **out,
                      struct err *err);
/* The same with at most JSON_VALUES_MAX values. */
int json_parse(struct bytes text, int max_depth, struct json **out, struct err *err);
void json_free(struct json *j);

/* All of these accept NULL, which stands for a missing value and has the type JSON_NULL. A null in
 * a document is NULL, too. */
enum json_type json_type(const struct json *j);
/* The member, or NULL. */
const struct json *json_member(const struct json *object, const char *name);
/* Has it the member, null or not? */
bool json_has(const struct json *object, const char *name);
size_t json_length(const struct json *array);
const struct json *json_item(const struct json *array, size_t i);
/* The text, or NULL for a value that is not a string, or a string that contains a NUL. */
const char *json_string(const struct json *j);
/* Returns false for a value that is not an integer, is negative, or doesn't fit. 2^64 - 1 counts as
 * not fitting, because json-c gives that number for everything larger. 1.0 and 1e3 are not integers
 * here. */
bool json_u64(const struct json *j, uint64_t *out);
/* The same for integers that may be negative. -2^63 counts as not fitting, because json-c gives
 * that number for everything smaller. */
bool json_i64(const struct json *j, int64_t *out);
/* True if json_text would write every number in j as it was read. False when j contains an integer
 * that json-c can't hold. */
bool json_is_exact(const struct json *j);
/* True only for the value true. */
bool json_is_true(const struct json *j);

/* Calls fn for each member until it returns non-zero, and returns that value, or 0. */
int json_each(const struct json *object,
              int (*fn)(const char *name, const struct json *value, void *arg), void *arg);

/* Making values. Strings must not be NULL; NULL as a struct json stands for null. All of these end
 * the program when there is no memory. */
struct json *json_new_object(void);
struct json *json_new_array(void);
void json_set(struct json *object, const char *name, struct json *value);
void json_set_string(struct json *object, const char *name, const char *value);
void json_set_u64(struct json *object, const char *name, uint64_t value);
void json_set_i64(struct json *object, const char *name, int64_t value);
void json_set_bool(struct json *object, const char *name, bool value);
void json_add(struct json *array, struct json *value);
void json_add_string(struct json *array, const char *value);
/* A separate copy of a value that was read; NULL for NULL. */
struct json *json_copy(const struct json *j);
/* The value as text, without blanks or escaped slashes, valid until j is freed or changed. All
 * strings in j must be valid UTF-8. */
const char *json_text(struct json *j, size_t *n);
/* Appends this text to out, and frees j. */
void json_put(struct json *j, struct buf *out);
