#pragma once

#include <stdbool.h>

/* Addresses of clients, as limits count them. One client of IPv6 mostly has a whole /64 network, so
 * all addresses of such a network count as one. */

#define NETWORK_TEXT_MAX 64

/* Writes the network of a numeric address: "2001:db8:1:2::/64" of an IPv6 address, and an IPv4
 * address as it is, also one that is mapped into IPv6 ("::ffff:192.0.2.1"). Other text is copied,
 * and cut when it is too long. */
void network_of(char out[NETWORK_TEXT_MAX], const char *address);

/* Networks: "192.0.2.0/24", "2001:db8::/32", or an address alone, which is a network of one. An
 * IPv4 address that is mapped into IPv6 counts as IPv4. */
bool network_is_valid(const char *network);
/* False also if one of the two is no network, or no address. */
bool network_has(const char *network, const char *address);
