#include "util/backlog.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel answers within the call of send; this is against a surprise. */
#define ANSWER_MS 100

int
backlog_open(void)
{
    return socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

/* The number of the attribute UNIX_DIAG_RQLEN in an answer. */
static int
find_queue(const struct nlmsghdr *h, size_t got, uint64_t *n)
{
    const struct unix_diag_msg *m = NLMSG_DATA(h);
    const struct rtattr *a = (const struct rtattr *)(m + 1);
    struct unix_diag_rqlen queue;
    size_t left;

    if (got < NLMSG_LENGTH(sizeof *m) || h->nlmsg_len > got || h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return 0;
    left = h->nlmsg_len - NLMSG_LENGTH(sizeof *m);
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type != UNIX_DIAG_RQLEN || RTA_PAYLOAD(a) < sizeof queue)
            continue;
        memcpy(&queue, RTA_DATA(a), sizeof queue);
        *n = queue.udiag_rqueue;
        return 1;
    }
    return 0;
}

int
backlog_get(int kernel, ino_t inode, uint64_t *n)
{
    struct {
        struct nlmsghdr h;
        struct unix_diag_req r;
    } ask = {
        .h = {.nlmsg_len = sizeof ask,
              .nlmsg_type = SOCK_DIAG_BY_FAMILY,
              .nlmsg_flags = NLM_F_REQUEST},
        .r = {.sdiag_family = AF_UNIX,
              .udiag_states = UINT32_MAX,
              .udiag_ino = (uint32_t)inode,
              .udiag_show = UDIAG_SHOW_RQLEN,
              .udiag_cookie = {UINT32_MAX, UINT32_MAX}},
    };
    struct pollfd answer = {.fd = kernel, .events = POLLIN};
    _Alignas(struct nlmsghdr) char text[512];
    ssize_t got;

    if (send(kernel, &ask, sizeof ask, 0) != (ssize_t)sizeof ask ||
        poll(&answer, 1, ANSWER_MS) != 1)
        return 0;
    got = recv(kernel, text, sizeof text, MSG_DONTWAIT);
    return got > 0 ? find_queue((const struct nlmsghdr *)text, (size_t)got, n) : 0;
}
