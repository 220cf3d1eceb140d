#include "process/options/options_value.h"
#include <arpa/inet.h>
#include "domain/access/htpasswd.h"
#include "domain/access/immutable.h"
#include "domain/core/quota.h"
#include "process/options/base_url.h"
#include "util/mem.h"
#include "util/network.h"
#include "util/parse.h"

/* A name becomes part of names of nginx's variables. Longer ones would need a larger
 * variables_hash_bucket_size in the site's configuration. */
#define NAME_MAX_BYTES 22
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyz0123456789_"

int
options_value_add(struct options *o, struct options_list *list, const char *value, const char *what,
                  struct err *err)
{
    if (list->n == OPTIONS_MANY_MAX)
        return err_set(err, ERR_BAD_REQUEST, "%s: given more than %d times", what,
                       OPTIONS_MANY_MAX);
    list->v[list->n++] = options_keep(o, mem_strdup(value));
    return 0;
}

static int
add_port(struct options *o, struct options_list *list, const char *value, const char *what,
         struct err *err)
{
    char text[8];
    uint64_t port;
    if (!parse_u64(value, strlen(value), &port) || port > 65535)
        return err_set(err, ERR_BAD_REQUEST, "%s %s: must be a port number (0 to 65535, 0 for any)",
                       what, value);
    snprintf(text, sizeof text, "%u", (unsigned)port);
    return options_value_add(o, list, text, what, err);
}

/* Without the brackets that IPv6 may have. */
static int
add_address(struct options *o, struct options_list *list, const char *value, const char *what,
            struct err *err)
{
    char bare[64];
    unsigned char address[sizeof(struct in6_addr)];
    size_t n = strlen(value);
    bool brackets = n > 2 && value[0] == '[' && value[n - 1] == ']';
    snprintf(bare, sizeof bare, "%.*s", (int)(brackets ? n - 2 : n), value + brackets);
    if (strcmp(bare, "localhost") != 0 && inet_pton(AF_INET, bare, address) != 1 &&
        inet_pton(AF_INET6, bare, address) != 1)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s %s: must be an address, such as 127.0.0.1, ::1 or localhost", what,
                       value);
    return options_value_add(o, list, bare, what, err);
}

static int
add_network(struct options *o, struct options_list *list, const char *value, const char *what,
            struct err *err)
{
    if (strcmp(value, "none") != 0 && !network_is_valid(value))
        return err_set(err, ERR_BAD_REQUEST,
                       "%s %s: must be a network such as 192.0.2.0/24 or 2001:db8::/32, an "
                       "address, or none",
                       what, value);
    return options_value_add(o, list, value, what, err);
}

static int
add_tags_pattern(struct options *o, struct options_list *list, const char *value, const char *what,
                 struct err *err)
{
    struct err why;

    if (immutable_parse(value, &why) != 0)
        return err_set(err, ERR_BAD_REQUEST, "%s %.300s: %s", what, value, why.message);
    return options_value_add(o, list, value, what, err);
}

/* The messages never contain the value: half of it is a password. */
static int
add_user_password(struct options *o, struct options_list *list, const char *value, const char *what,
                  struct err *err)
{
    const char *colon = strchr(value, ':');
    struct err why;
    if (colon == NULL || colon == value || colon[1] == '\0')
        return err_set(err, ERR_BAD_REQUEST, "%s: must be NAME:PASSWORD, neither of them empty",
                       what);
    if (htpasswd_check_name(bytes_of(value, (size_t)(colon - value)), &why) != 0 ||
        htpasswd_check_password(bytes_str(colon + 1), &why) != 0)
        return err_set(err, ERR_BAD_REQUEST, "%s: %s", what, why.message);
    return options_value_add(o, list, value, what, err);
}

static int
add_quota(struct options *o, struct options_list *list, const char *value, const char *what,
          struct err *err)
{
    char pattern[RECORD_REPOSITORY_MAX + 1];
    uint64_t limit;
    struct err why;
    if (quota_parse(value, pattern, &limit, &why) != 0)
        return err_set(err, ERR_BAD_REQUEST, "%s %s: %s", what, value, why.message);
    return options_value_add(o, list, value, what, err);
}

static int
set_count(uint64_t *to, const struct options_row *row, const char *value, const char *what,
          struct err *err)
{
    if (parse_u64(value, strlen(value), to) && *to >= row->least && *to <= row->most)
        return 0;
    return err_set(err, ERR_BAD_REQUEST, "%s %s: must be a number from %llu to %llu", what, value,
                   (unsigned long long)row->least, (unsigned long long)row->most);
}

static int
set_limit(uint64_t *to, const char *value, const char *what, struct err *err)
{
    if (parse_u64(value, strlen(value), to))
        return 0;
    return err_set(err, ERR_BAD_REQUEST, "%s %s: must be a number, 0 for no limit", what, value);
}

static int
set_size(uint64_t *to, const struct options_row *row, const char *value, const char *what,
         struct err *err)
{
    if (!parse_size(value, to))
        return err_set(err, ERR_BAD_REQUEST, "%s %s: must be a size like 512K, 20M, 4G or 10T",
                       what, value);
    if (*to < row->least)
        return err_set(err, ERR_BAD_REQUEST, "%s %s: must be at least %lluM", what, value,
                       (unsigned long long)row->least >> 20);
    return 0;
}

static int
set_time(uint64_t *to, const struct options_row *row, const char *value, const char *what,
         struct err *err)
{
    if (parse_duration_ms(value, to) && *to >= row->least && (row->most == 0 || *to <= row->most))
        return 0;
    if (row->most != 0)
        return err_set(err, ERR_BAD_REQUEST, "%s %s: must be a time from %llum to %lluh", what,
                       value, (unsigned long long)row->least / 60000,
                       (unsigned long long)row->most / 3600000);
    return err_set(err, ERR_BAD_REQUEST, "%s %s: must be a time like 90s, 10m, 6h or 30d", what,
                   value);
}

static int
set_text(struct options *o, const struct options_row *row, char **to, const char *value,
         const char *what, struct err *err)
{
    char *url;
    if (row->kind == OPTIONS_URL) {
        url = base_url_parse(value, what, err);
        if (url == NULL)
            return -1;
        *to = options_keep(o, url);
        return 0;
    }
    if (row->kind == OPTIONS_SCRIPT && strlen(value) > HOOK_SCRIPT_MAX)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s: the script has more than %d bytes: put it into a file", what,
                       HOOK_SCRIPT_MAX);
    if (row->kind == OPTIONS_NAME &&
        (strspn(value, NAME_BYTES) != strlen(value) || strlen(value) > NAME_MAX_BYTES))
        return err_set(err, ERR_BAD_REQUEST,
                       "%s %s: must have lowercase letters, digits and _ only, at most %d of them",
                       what, value, NAME_MAX_BYTES);
    *to = options_keep(o, mem_strdup(value));
    return 0;
}

int
options_value_set(struct options *o, const struct options_row *row, const char *value,
                  const char *what, struct err *err)
{
    void *to = (char *)o + row->at;
    if (row->kind != OPTIONS_FLAG && *value == '\0')
        return err_set(err, ERR_BAD_REQUEST, "%s: the value is empty: give a [%s]", what, row->arg);
    switch (row->kind) {
    case OPTIONS_FLAG:
        *(bool *)to = true;
        return 0;
    case OPTIONS_TEXT:
    case OPTIONS_SCRIPT:
    case OPTIONS_NAME:
    case OPTIONS_URL:
        return set_text(o, row, to, value, what, err);
    case OPTIONS_LEVEL:
        if (log_level_parse(value, to))
            return 0;
        return err_set(err, ERR_BAD_REQUEST, "%s %s: must be error, warn, info or debug", what,
                       value);
    case OPTIONS_FORMAT:
        *(bool *)to = strcmp(value, "json") == 0;
        if (*(bool *)to || strcmp(value, "text") == 0)
            return 0;
        return err_set(err, ERR_BAD_REQUEST, "%s %s: must be text or json", what, value);
    case OPTIONS_LOG:
        if (strcmp(value, "stderr") == 0 || strcmp(value, "syslog") == 0 ||
            strncmp(value, "syslog:/", 8) == 0)
            return set_text(o, row, to, value, what, err);
        return err_set(err, ERR_BAD_REQUEST,
                       "%s %s: must be stderr, syslog, or syslog: with the name of a socket from "
                       "the root on",
                       what, value);
    case OPTIONS_NUMBER:
        return set_count(to, row, value, what, err);
    case OPTIONS_LIMIT:
        return set_limit(to, value, what, err);
    case OPTIONS_SIZE:
        return set_size(to, row, value, what, err);
    case OPTIONS_TIME:
        return set_time(to, row, value, what, err);
    case OPTIONS_PORT:
        return add_port(o, to, value, what, err);
    case OPTIONS_ADDRESS:
        return add_address(o, to, value, what, err);
    case OPTIONS_NETWORK:
        return add_network(o, to, value, what, err);
    case OPTIONS_USER:
        return add_user_password(o, to, value, what, err);
    case OPTIONS_TAGS:
        return add_tags_pattern(o, to, value, what, err);
    case OPTIONS_QUOTA:
        return add_quota(o, to, value, what, err);
    case OPTIONS_ORIGIN:
        return base_url_check_origin(value, what, err) != 0
                   ? -1
                   : options_value_add(o, to, value, what, err);
    }
    return -1;
}
