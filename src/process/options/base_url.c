#include "process/options/base_url.h"
#include <arpa/inet.h>
#include <stdbool.h>
#include <strings.h>
#include "util/mem.h"
#include "util/parse.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define HOST_BYTES LOWER UPPER "0123456789.-_"
/* RFC 1035 2.3.4: 255 octets with the lengths of the first label and of the root. Answers carry the
 * URL in headers, for which nginx has small buffers. */
#define HOST_MAX 253

/* The length of the host at the start of a text, brackets of IPv6 included; 0: none, or one
 * that is too long. */
static size_t
host_length(const char *text)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char ignored[sizeof(struct in6_addr)];
    size_t n;

    if (*text != '[') {
        n = strspn(text, HOST_BYTES);
        return n <= HOST_MAX ? n : 0;
    }
    n = strcspn(text, "]");
    if (text[n] != ']' || n > sizeof address)
        return 0;
    snprintf(address, sizeof address, "%.*s", (int)n - 1, text + 1);
    return inet_pton(AF_INET6, address, ignored) == 1 ? n + 1 : 0;
}

/* Whether the host is followed by nothing but a port and one slash. Sets *end to the slash. */
static bool
is_port_and_slash(const char *rest, const char **end)
{
    uint64_t port;
    if (*rest == ':') {
        size_t n = strcspn(++rest, "/");
        if (!parse_u64(rest, n, &port) || port < 1 || port > 65535)
            return false;
        rest += n;
    }
    *end = rest;
    return strcmp(rest, "") == 0 || strcmp(rest, "/") == 0;
}

/* Browsers leave out the port that the scheme implies, so an origin with this port matches none. */
static bool
is_implied_port(const char *text, const char *rest)
{
    return (strncmp(text, "http:", 5) == 0 && strcmp(rest, ":80") == 0) ||
           (strncmp(text, "https:", 6) == 0 && strcmp(rest, ":443") == 0);
}

int
base_url_check_origin(const char *text, const char *what, struct err *err)
{
    size_t scheme = strspn(text, LOWER "0123456789+.-");
    const char *host = text + scheme + 3, *end;

    if (strcmp(text, "*") == 0)
        return 0;
    if (scheme == 0 || strchr(LOWER, text[0]) == NULL || strncmp(host - 3, "://", 3) != 0 ||
        host_length(host) == 0 || !is_port_and_slash(host + host_length(host), &end) ||
        *end != '\0' || strpbrk(text, UPPER) != NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s %s: must be an origin like https://ui.example.com, in lowercase and "
                       "without a path, or * for any",
                       what, text);
    if (is_implied_port(text, host + host_length(host)))
        return err_set(
            err, ERR_BAD_REQUEST,
            "%s %s: leave out the port: it is the scheme's default, which browsers leave out", what,
            text);
    return 0;
}

char *
base_url_parse(const char *text, const char *what, struct err *err)
{
    size_t scheme = strncasecmp(text, "http://", 7) == 0    ? 7
                    : strncasecmp(text, "https://", 8) == 0 ? 8
                                                            : 0;
    size_t host = scheme > 0 ? host_length(text + scheme) : 0;
    const char *end;
    if (host == 0 || !is_port_and_slash(text + scheme + host, &end)) {
        err_set(err, ERR_BAD_REQUEST,
                "%s %s: must be a URL like https://registry.example.com, without a path, because "
                "clients look for /v2/ at the root of a host",
                what, text);
        return NULL;
    }
    return mem_copy(text, (size_t)(end - text));
}
