#pragma once

/* nginx asks for the address of a host in proxy_pass when it starts, and never again, unless it is
 * told which name servers to ask: then it does so at each request, as long as the answers are
 * valid. It knows neither /etc/hosts nor the domains that the C library tries for a short name. */

#define NAME_SERVERS_MAX 256
#define NAME_SERVERS_FILE "/etc/resolv.conf"
#define NAME_SERVERS_HOSTS "/etc/hosts"

/* What nginx's directive "resolver" needs to find host, which may have a port: the name servers of
 * the file resolv_conf, written to out. NULL: the host has to be looked up at
 * nginx's start, because it is an address, a name of this machine (the file hosts), or
 * a short one; or because no name server is known. */
const char *name_servers_for(const char *host, const char *resolv_conf, const char *hosts,
                             char out[NAME_SERVERS_MAX]);
