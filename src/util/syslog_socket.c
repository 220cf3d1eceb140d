#include "util/syslog_socket.h"
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FACILITY_DAEMON 3
#define PACKET_MAX 2100
/* A syslog daemon that hangs must not hold us up: the line goes to stderr then. */
#define SEND_US 100000

static size_t
format_packet(char out[PACKET_MAX], int severity, const char *line, size_t n)
{
    char when[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    int length;

    if (localtime_r(&now, &tm) != NULL)
        strftime(when, sizeof when, "%h %e %T", &tm);
    length = snprintf(out, PACKET_MAX, "<%d>%s docker-registry-server[%d]: %.*s",
                      FACILITY_DAEMON << 3 | severity, when, (int)getpid(), (int)n, line);
    return length < PACKET_MAX ? (size_t)length : PACKET_MAX - 1;
}

bool
syslog_socket_send(const char *path, int severity, const char *line, size_t n)
{
    const struct timeval limit = {.tv_usec = SEND_US};
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char packet[PACKET_MAX];
    size_t length = format_packet(packet, severity, line, n);
    bool sent;
    int fd;

    if (strlen(path) >= sizeof sa.sun_path)
        return false;
    memcpy(sa.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sent = connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0 &&
           send(fd, packet, length, MSG_NOSIGNAL) == (ssize_t)length;
    close(fd);
    return sent;
}
