#include "process/nginx/name_servers.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include "util/buf.h"
#include "util/fdio.h"

#define FILE_MAX (1u << 20)
#define NAME_MAX_BYTES 256
#define BLANKS " \t\r\n"
/* The C library asks no more, either. */
#define SERVERS 3

/* The next line of a file, without a comment; false: there is none. */
static bool
next_setting_line(char **rest, char **line)
{
    if (*rest == NULL)
        return false;
    *line = strsep(rest, "\n");
    (*line)[strcspn(*line, "#")] = '\0';
    return true;
}

static char *
next_setting_word(char **line)
{
    char *word;

    while ((word = strsep(line, BLANKS)) != NULL && *word == '\0')
        ;
    return word;
}

/* The files are of the machine: what can't be read counts as empty. */
static char *
read_text(const char *name, struct buf *text)
{
    struct err ignored;

    buf_init(text, FILE_MAX);
    return fdio_read_file(AT_FDCWD, name, text, &ignored) == 1 && buf_ok(text) ? text->p : NULL;
}

static bool
is_in_hosts(const char *name, const char *hosts)
{
    struct buf text;
    char *rest = read_text(hosts, &text), *line, *word;
    bool found = false;

    while (!found && next_setting_line(&rest, &line)) {
        (void)next_setting_word(&line); /* the address */
        while (!found && (word = next_setting_word(&line)) != NULL)
            found = strcasecmp(word, name) == 0;
    }
    buf_free(&text);
    return found;
}

/* Only a name that a name server alone can find. */
static bool
is_dns_name(const char *host, const char *hosts)
{
    char name[NAME_MAX_BYTES];
    struct in_addr four;
    size_t n = strcspn(host, ":");

    if (host[0] == '[' || n >= sizeof name)
        return false;
    memcpy(name, host, n);
    name[n] = '\0';
    return strchr(name, '.') != NULL && inet_pton(AF_INET, name, &four) != 1 &&
           !is_in_hosts(name, hosts);
}

/* Sends nothing. */
static bool
has_ipv6(void)
{
    struct sockaddr_in6 anywhere = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has;

    inet_pton(AF_INET6, "2001:db8::1", &anywhere.sin6_addr);
    has = fd >= 0 && connect(fd, (struct sockaddr *)&anywhere, sizeof anywhere) == 0;
    fdio_close(fd);
    return has;
}

static void
add_server(struct buf *out, const char *address)
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, address, &four) == 1)
        buf_putf(out, "%s ", address);
    else if (inet_pton(AF_INET6, address, &six) == 1)
        buf_putf(out, "[%s] ", address);
}

const char *
name_servers_for(const char *host, const char *resolv_conf, const char *hosts,
                 char out[NAME_SERVERS_MAX])
{
    struct buf text, found;
    char *rest, *line, *word;
    const char *servers = NULL;
    int n = 0;

    if (!is_dns_name(host, hosts))
        return NULL;
    buf_init(&found, NAME_SERVERS_MAX - 1);
    rest = read_text(resolv_conf, &text);
    while (n < SERVERS && next_setting_line(&rest, &line)) {
        word = next_setting_word(&line);
        if (word != NULL && strcmp(word, "nameserver") == 0 &&
            (word = next_setting_word(&line)) != NULL) {
            add_server(&found, word);
            n++;
        }
    }
    if (found.n > 0 && buf_ok(&found)) {
        snprintf(out, NAME_SERVERS_MAX, "%s%s", buf_text(&found),
                 has_ipv6() ? "ipv6=on" : "ipv6=off");
        servers = out;
    }
    buf_free(&found);
    buf_free(&text);
    return servers;
}
