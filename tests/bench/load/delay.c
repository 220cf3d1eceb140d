/* A server that is some way off: what is sent to it arrives a fixed time later, and its answers
 * come at once, so that a round trip takes that time more. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "load.h"

enum { PAIRS_MAX = 256, WAITING_MAX = 1 << 18, PIECE_MAX = 1 << 16, PIECES_MAX = 64 };

/* What came from one side and isn't sent to the other yet. Each piece that was read has the time
 * from which it may be sent, and the end of its bytes. */
struct way {
    int from, to, piece_count;
    double delay;
    size_t len;
    bool over;
    struct {
        double due;
        size_t end;
    } pieces[PIECES_MAX];
    char bytes[WAITING_MAX];
};

struct pair {
    struct way there, back;
};

static struct pair *pairs[PAIRS_MAX];
static int pair_count;

static int
socket_at(const char *path, bool listens)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        fail("%s: too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path));
    if (fd < 0 ||
        (listens ? bind : connect)(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        (listens && (listen(fd, 128) < 0 || chmod(path, 0777) < 0)))
        fail("%s: %s", path, strerror(errno));
    return fd;
}

static void
pair_begin(int client, const char *target, double delay)
{
    struct pair *p = calloc(1, sizeof(*p));

    if (p == NULL || pair_count == PAIRS_MAX)
        fail("too many connections");
    p->there.from = p->back.to = client;
    p->there.to = p->back.from = socket_at(target, false);
    p->there.delay = delay;
    pairs[pair_count++] = p;
}

static bool
way_takes(const struct way *w)
{
    return !w->over && w->piece_count < PIECES_MAX && w->len + PIECE_MAX <= WAITING_MAX;
}

static void
way_read(struct way *w)
{
    ssize_t n = read(w->from, w->bytes + w->len, PIECE_MAX);

    if (n <= 0) {
        w->over = n == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    w->len += (size_t)n;
    w->pieces[w->piece_count].due = now() + w->delay;
    w->pieces[w->piece_count++].end = w->len;
}

static void
way_write(struct way *w)
{
    size_t ready = 0;
    double time = now();
    int kept = 0;

    for (int i = 0; i < w->piece_count && w->pieces[i].due <= time; i++)
        ready = w->pieces[i].end;
    ssize_t n = ready > 0 ? write(w->to, w->bytes, ready) : 0;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        w->over = true;
        w->len = 0;
    }
    if (n <= 0)
        return;
    w->len -= (size_t)n;
    memmove(w->bytes, w->bytes + n, w->len);
    for (int i = 0; i < w->piece_count; i++)
        if (w->pieces[i].end > (size_t)n) {
            w->pieces[kept] = w->pieces[i];
            w->pieces[kept++].end -= (size_t)n;
        }
    w->piece_count = kept;
}

static bool
way_ended(const struct way *w)
{
    return w->over && w->len == 0;
}

static void
pairs_move(void)
{
    for (int i = pair_count - 1; i >= 0; i--) {
        struct pair *p = pairs[i];

        way_write(&p->there);
        way_write(&p->back);
        if (way_ended(&p->there) || way_ended(&p->back)) {
            close(p->there.from);
            close(p->there.to);
            free(p);
            pairs[i] = pairs[--pair_count];
        }
    }
}

/* What poll waits for from one way, and until when. */
static void
way_wait(const struct way *w, struct pollfd *from, struct pollfd *to, double *until)
{
    if (way_takes(w))
        from->events |= POLLIN;
    if (w->piece_count > 0 && w->pieces[0].due <= now())
        to->events |= POLLOUT;
    else if (w->piece_count > 0 && w->pieces[0].due < *until)
        *until = w->pieces[0].due;
}

void
delay_serve(const char *path, const char *target, double delay)
{
    static struct pollfd fds[1 + 2 * PAIRS_MAX];
    int listener = socket_at(path, true);

    prctl(PR_SET_TIMERSLACK, 1000UL);
    for (;;) {
        double until = now() + 3600;
        int polled = pair_count;

        fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < polled; i++) {
            struct pollfd *client = &fds[1 + 2 * i], *server = client + 1;

            *client = (struct pollfd){.fd = pairs[i]->there.from};
            *server = (struct pollfd){.fd = pairs[i]->there.to};
            way_wait(&pairs[i]->there, client, server, &until);
            way_wait(&pairs[i]->back, server, client, &until);
        }
        double wait = until - now();
        struct timespec time = {.tv_sec = (time_t)wait,
                                .tv_nsec = (long)((wait - (double)(time_t)wait) * 1e9)};
        if (wait < 0)
            time = (struct timespec){0};
        if (ppoll(fds, (nfds_t)(1 + 2 * polled), &time, NULL) < 0 && errno != EINTR)
            fail("poll: %s", strerror(errno));
        for (int i = 0; i < polled; i++) {
            if ((fds[1 + 2 * i].revents & ~POLLOUT) != 0 && way_takes(&pairs[i]->there))
                way_read(&pairs[i]->there);
            if ((fds[2 + 2 * i].revents & ~POLLOUT) != 0 && way_takes(&pairs[i]->back))
                way_read(&pairs[i]->back);
        }
        pairs_move();
        int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0)
            pair_begin(client, target, delay);
    }
}
