#include "util/network.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include "util/parse.h"

void
network_of(char out[NETWORK_TEXT_MAX], const char *address)
{
    struct in6_addr a;
    char text[INET6_ADDRSTRLEN];

    if (inet_pton(AF_INET6, address, &a) != 1) {
        snprintf(out, NETWORK_TEXT_MAX, "%s", address);
    } else if (IN6_IS_ADDR_V4MAPPED(&a)) {
        snprintf(out, NETWORK_TEXT_MAX, "%s",
                 inet_ntop(AF_INET, a.s6_addr + 12, text, sizeof text));
    } else {
        memset(a.s6_addr + 8, 0, 8);
        snprintf(out, NETWORK_TEXT_MAX, "%s/64", inet_ntop(AF_INET6, &a, text, sizeof text));
    }
}

/* All addresses in the form of IPv6; IPv4 is mapped into it. bits: of the longest prefix that the
 * text can have. */
static bool
parse_any_address(const char *text, struct in6_addr *out, unsigned *bits)
{
    struct in_addr four;

    *bits = 128;
    if (inet_pton(AF_INET6, text, out) == 1)
        return true;
    *bits = 32;
    if (inet_pton(AF_INET, text, &four) != 1)
        return false;
    memset(out, 0, sizeof *out);
    memset(out->s6_addr + 10, 0xff, 2);
    memcpy(out->s6_addr + 12, &four, sizeof four);
    return true;
}

/* prefix: bits that count, of 128. */
static bool
parse_network(const char *text, struct in6_addr *out, unsigned *prefix)
{
    char address[INET6_ADDRSTRLEN];
    size_t n = strcspn(text, "/");
    unsigned bits;
    uint64_t length;

    if (n >= sizeof address)
        return false;
    memcpy(address, text, n);
    address[n] = '\0';
    if (!parse_any_address(address, out, &bits))
        return false;
    length = bits;
    if (text[n] == '/' &&
        (!parse_u64(text + n + 1, strlen(text + n + 1), &length) || length > bits))
        return false;
    *prefix = (unsigned)length + 128 - bits;
    return true;
}

bool
network_is_valid(const char *network)
{
    struct in6_addr ignored;
    unsigned prefix;

    return parse_network(network, &ignored, &prefix);
}

bool
network_has(const char *network, const char *address)
{
    struct in6_addr a, b;
    unsigned prefix, ignored;

    if (!parse_network(network, &a, &prefix) || !parse_any_address(address, &b, &ignored))
        return false;
    for (unsigned i = 0; i < prefix; i += 8) {
        unsigned mask = prefix - i >= 8 ? 0xff : 0xffu << (8 - (prefix - i)) & 0xff;

        if (((unsigned)a.s6_addr[i / 8] ^ (unsigned)b.s6_addr[i / 8]) & mask)
            return false;
    }
    return true;
}
