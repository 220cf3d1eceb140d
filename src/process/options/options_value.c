#include "process/options/options_value.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "domain/access/htpasswd.h"
#include "process/options/base_url.h"
#include "util/parse.h"
#include "util/banned.h"

/* Longer variables need a change of the site's variables_hash_bucket_size. */
#define NAME_MAX_BYTES 22
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyz0123456789_"

int
options_value_text(char **to, const char *value, struct err *err)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return err_errno(err, "out of memory");
    free(*to);
    *to = copy;
    return 0;
}

/* gcc's analyzer loses sight of what is in an array. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
int
options_value_add(struct options_list *list, const char *value, const char *what, struct err *err)
{
    if (list->n == OPTIONS_MANY_MAX)
        return err_set(err, ERR_BAD_REQUEST, "%s: given more than %d times", what,
                       OPTIONS_MANY_MAX);
    char *copy = strdup(value);
    if (copy == NULL)
        return err_errno(err, "out of memory");
    list->v[list->n++] = copy;
    return 0;
}
#pragma GCC diagnostic pop

int
options_value_add_port(struct options_list *list, const char *value, const char *what,
                       struct err *err)
{
    uint64_t port;
    if (!parse_u64(value, strlen(value), &port) || port > 65535)
        return err_set(err, ERR_BAD_REQUEST, "%s %s: not a port number (0 to 65535, 0 for any)",
                       what, value);
    char text[8];
    snprintf(text, sizeof text, "%u", (unsigned)port);
    return options_value_add(list, text, what, err);
}

/* Kept without the brackets that IPv6 may have. */
static int
add_address(struct options_list *list, const char *value, const char *what, struct err *err)
{
    char bare[64];
    unsigned char address[sizeof(struct in6_addr)];
    size_t n = strlen(value);
    bool brackets = n > 2 && value[0] == '[' && value[n - 1] == ']';
    snprintf(bare, sizeof bare, "%.*s", (int)(brackets ? n - 2 : n), value + brackets);
    if (strcmp(bare, "localhost") != 0 && inet_pton(AF_INET, bare, address) != 1 &&
        inet_pton(AF_INET6, bare, address) != 1)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s %s: an address is wanted, such as 127.0.0.1, ::1 or localhost", what,
                       value);
    return options_value_add(list, bare, what, err);
}

/* The message never holds the value: half of it is a password. */
static int
add_user(struct options_list *list, const char *value, const char *what, struct err *err)
{
    const char *colon = strchr(value, ':');
    struct err why;
    if (colon == NULL || colon == value || colon[1] == '\0')
        return err_set(err, ERR_BAD_REQUEST, "%s: NAME:PASSWORD is wanted, neither of them empty",
                       what);
    if (htpasswd_check_name(bytes_of(value, (size_t)(colon - value)), &why) < 0 ||
        htpasswd_check_password(bytes_str(colon + 1), &why) < 0)
        return err_set(err, ERR_BAD_REQUEST, "%s: %s", what, why.message);
    return options_value_add(list, value, what, err);
}

static int
set_number(uint64_t *to, enum options_kind kind, const char *value, const char *what,
           struct err *err)
{
    uint64_t n;
    switch (kind) {
    case OPTIONS_COUNT:
    case OPTIONS_TRIES:
        if (!parse_u64(value, strlen(value), &n) || n < (kind == OPTIONS_COUNT) ||
            n > OPTIONS_COUNT_MAX)
            return err_set(err, ERR_BAD_REQUEST, "%s %s: a number from %d to %d is wanted", what,
                           value, kind == OPTIONS_COUNT, OPTIONS_COUNT_MAX);
        break;
    case OPTIONS_LIMIT:
        if (!parse_u64(value, strlen(value), &n))
            return err_set(err, ERR_BAD_REQUEST, "%s %s: a number is wanted, 0 for no limit", what,
                           value);
        break;
    case OPTIONS_NUMBER:
        if (!parse_u64(value, strlen(value), &n) || n == 0 || n > OPTIONS_NUMBER_MAX)
            return err_set(err, ERR_BAD_REQUEST, "%s %s: a number from 1 to %d is wanted", what,
                           value, OPTIONS_NUMBER_MAX);
        break;
    case OPTIONS_SIZE:
        if (!parse_size(value, &n))
            return err_set(err, ERR_BAD_REQUEST, "%s %s: a size like 512K, 20M or 4G is wanted",
                           what, value);
        break;
    default:
        if (!parse_duration_ms(value, &n) || (kind == OPTIONS_PERIOD && n == 0))
            return err_set(err, ERR_BAD_REQUEST, "%s %s: a time like 90s, 10m, 6h or 30d is wanted",
                           what, value);
        break;
    }
    *to = n;
    return 0;
}

static int
set_name(char **to, const char *value, const char *what, struct err *err)
{
    size_t n = strlen(value);
    if (strspn(value, NAME_BYTES) != n || n > NAME_MAX_BYTES)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s %s: small letters, digits and _ are wanted, at most %d of them", what,
                       value, NAME_MAX_BYTES);
    return options_value_text(to, value, err);
}

static int
set_url(char **to, const char *value, const char *what, struct err *err)
{
    char *url = base_url_parse(value, what, err);
    if (url == NULL)
        return -1;
    free(*to);
    *to = url;
    return 0;
}

int
options_value_set(struct options *o, const struct options_row *row, const char *value,
                  const char *what, struct err *err)
{
    void *to = (char *)o + row->at;
    if (row->kind != OPTIONS_FLAG && *value == '\0')
        return err_set(err, ERR_BAD_REQUEST, "%s: the value is empty; a %s is wanted", what,
                       row->arg);
    switch (row->kind) {
    case OPTIONS_FLAG:
        *(bool *)to = true;
        return 0;
    case OPTIONS_TEXT:
        return options_value_text(to, value, err);
    case OPTIONS_SCRIPT:
        if (strlen(value) > HOOK_SCRIPT_MAX)
            return err_set(err, ERR_BAD_REQUEST,
                           "%s: the script has more than %d bytes: put it into a file", what,
                           HOOK_SCRIPT_MAX);
        return options_value_text(to, value, err);
    case OPTIONS_ADDRESSES:
        return add_address(to, value, what, err);
    case OPTIONS_PORTS:
        return options_value_add_port(to, value, what, err);
    case OPTIONS_USERS:
        return add_user(to, value, what, err);
    case OPTIONS_LEVEL:
        if (!log_level_parse(value, to))
            return err_set(err, ERR_BAD_REQUEST, "%s %s: error, warn, info or debug is wanted",
                           what, value);
        return 0;
    case OPTIONS_NAME:
        return set_name(to, value, what, err);
    case OPTIONS_URL:
        return set_url(to, value, what, err);
    case OPTIONS_ORIGINS:
        return base_url_check_origin(value, what, err) < 0
                   ? -1
                   : options_value_add(to, value, what, err);
    default:
        return set_number(to, row->kind, value, what, err);
    }
}
