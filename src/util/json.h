#ifndef UTIL_JSON_H
#define UTIL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* JSON (RFC 8259) by json-c, which only json.c sees. A value that is read belongs to the document
 * that it came from; a value that is made belongs to what it was put into. */
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

/* Strict: one value, nothing behind it but white space, valid UTF-8, no deeper than max_depth
 * (the value itself is at depth 1, what is in it at 2), and no more than JSON_VALUES_MAX values,
 * since each costs json-c a hundred bytes and more. Of members with the same name the last counts.
 * 0 and *out, or -1 and ERR_BAD_REQUEST whose message says what and where. */
int json_parse(struct bytes text, int max_depth, struct json **out, struct err *err);
void json_free(struct json *j);

/* All of these take NULL for a value that isn't there, which is of type JSON_NULL; null
 * within a document is NULL too. */
enum json_type json_type(const struct json *j);
/* The member, or NULL. */
const struct json *json_member(const struct json *object, const char *name);
size_t json_length(const struct json *array);
const struct json *json_item(const struct json *array, size_t i);
/* The text, or NULL when it is no string, or has a NUL inside. */
const char *json_string(const struct json *j);
/* False when it is no integer, negative, or does not fit. 2^64 - 1 counts as not fitting: json-c
 * gives that for all that is larger. 1.0 and 1e3 are no integers here. */
bool json_u64(const struct json *j, uint64_t *out);
/* The same for one that may be negative, but not -2^63, which stands for all that is smaller. */
bool json_i64(const struct json *j, int64_t *out);
/* Would json_text give every number in it as it was? False when there is an integer that json-c
 * can't hold. */
bool json_is_exact(const struct json *j);
/* Is it there, and true? */
bool json_is_true(const struct json *j);

/* Calls fn for each member; stops when it returns other than 0, and returns that. */
int json_each(const struct json *object,
              int (*fn)(const char *name, const struct json *value, void *arg), void *arg);

/* Making. Strings may not be NULL; NULL as a struct json is null. All abort the program when memory
 * is out: answers are small. */
struct json *json_new_object(void);
struct json *json_new_array(void);
void json_set(struct json *object, const char *name, struct json *value);
void json_set_string(struct json *object, const char *name, const char *value);
void json_set_u64(struct json *object, const char *name, uint64_t value);
void json_set_bool(struct json *object, const char *name, bool value);
void json_add(struct json *array, struct json *value);
void json_add_string(struct json *array, const char *value);
/* A copy of its own, of a value that was read; NULL of NULL. */
struct json *json_copy(const struct json *j);
/* Without blanks or escaped slashes; valid until j is freed or changed. Bytes that are no UTF-8
 * must not have been put in. */
const char *json_text(struct json *j, size_t *n);

#endif
