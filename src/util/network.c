#include "util/network.h"
#include <arpa/inet.h>
#include <netinet/in.h>

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
