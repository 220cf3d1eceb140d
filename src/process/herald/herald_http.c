#include "process/herald/herald_http.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "domain/events/event_text.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/parse.h"
#include "util/banned.h"

#define REQUEST_MAX 4096
#define ACCEPTS_MAX 64
/* One event more than OUT_MAX, as the event stream has it. */
#define OUT_ROOM (HERALD_HTTP_OUT_MAX + 10000)

void
herald_http_init(struct herald_http *h, int socket, struct herald_ring *ring)
{
    *h = (struct herald_http){.socket = socket, .ring = ring};
    h->v = mem_array(HERALD_HTTP_PLACES, sizeof *h->v);
}

static void
send_away(struct herald_http *h, struct herald_listener *l)
{
    if (l->fd < 0)
        return;
    if (l->paging)
        h->pages--;
    fdio_close(l->fd);
    buf_free(&l->in);
    buf_free(&l->out);
    *l = (struct herald_listener){.fd = -1};
}

void
herald_http_close(struct herald_http *h)
{
    for (size_t i = 0; i < h->n; i++)
        send_away(h, &h->v[i]);
    fdio_close(h->socket); /* who waits in it is refused when the master has closed it, too */
    h->socket = -1;
}

void
herald_http_free(struct herald_http *h)
{
    herald_http_close(h);
    free(h->v);
    h->v = NULL;
}

/* ---- sending ---- */

static void
write_out(struct herald_http *h, struct herald_listener *l, uint64_t now)
{
    size_t done = 0;
    while (done < l->out.n) {
        ssize_t n = send(l->fd, l->out.p + done, l->out.n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            send_away(h, l);
            return;
        }
        if (n < 0)
            break;
        done += (size_t)n;
    }
    if (done > 0 || l->out.n == 0)
        l->since = now;
    if (done == l->out.n && l->ending) {
        send_away(h, l);
    } else if (done == l->out.n) {
        buf_free(&l->out); /* most listeners have nothing to say most of the time */
    } else if (done > 0) {
        memmove(l->out.p, l->out.p + done, l->out.n - done);
        buf_cut(&l->out, l->out.n - done);
    }
}

static void
put_listener_event(struct herald_listener *l, const struct herald_ring_entry *e)
{
    l->at = e->seq;
    if ((l->types & event_text_bit(e->type)) == 0 || e->type == EVENT_INDEX || e->json == NULL)
        return;
    if (l->sse)
        buf_putf(&l->out, "id: %lu\nevent: ", (unsigned long)e->seq);
    if (l->sse)
        buf_putf(&l->out, "%s\ndata: ", event_text_type(e->type));
    buf_put(&l->out, e->json, e->n);
    buf_puts(&l->out, l->sse ? "\n\n" : "\n");
}

static bool
is_open(const struct herald_listener *l)
{
    return l->fd >= 0 && !l->asking && !l->ending;
}

/* All that the ring has for it, as far as there is room. */
static void
fill_listener_output(const struct herald_http *h, struct herald_listener *l)
{
    const struct herald_ring_entry *e;
    if (l->fresh && h->ring->begun) {
        l->at = h->ring->newest > h->ring->base ? h->ring->newest : h->ring->base;
        l->fresh = false;
    }
    if (l->fresh || !h->ring->begun || l->at < h->ring->base)
        return;
    while (l->out.n < HERALD_HTTP_OUT_MAX && (e = herald_ring_next(h->ring, l->at)) != NULL)
        put_listener_event(l, e);
}

static void
push_one(struct herald_http *h, struct herald_listener *l, uint64_t now)
{
    size_t before;
    do {
        before = l->out.n;
        if (before == 0)
            l->since = now; /* it owes us nothing yet */
        fill_listener_output(h, l);
        if (l->out.n > before)
            l->beat_at = now + HERALD_HTTP_BEAT_MS;
        if (l->out.n == 0 && now >= l->beat_at) {
            buf_puts(&l->out, l->sse ? ":\n\n" : "\n");
            l->beat_at = now + HERALD_HTTP_BEAT_MS;
        }
        bool had = l->out.n > 0;
        if (!buf_ok(&l->out))
            send_away(h, l); /* no memory: it may come again */
        else if (had)
            write_out(h, l, now);
        if (!had)
            break;
    } while (l->fd >= 0 && l->out.n == 0);
}

void
herald_http_push(struct herald_http *h, uint64_t now)
{
    for (size_t i = 0; i < h->n; i++) {
        struct herald_listener *l = &h->v[i];
        if (l->fd >= 0 && (l->asking || l->out.n > 0) && now - l->since >= HERALD_HTTP_STALL_MS)
            send_away(h, l);
        else if (is_open(l) && l->out.n < HERALD_HTTP_OUT_MAX)
            push_one(h, l, now);
    }
}

/* ---- the request ---- */

static void
put_reply_head(struct herald_listener *l, const char *status, const char *type, const char *more)
{
    buf_putf(&l->out,
             "HTTP/1.1 %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"
             "X-Docker-Registry-Version: " PACKAGE_VERSION "\r\n"
             "Connection: close\r\n%s\r\n",
             status, type, more);
}

static void
refuse_listener(struct herald_listener *l, const char *status, const char *why)
{
    put_reply_head(l, status, "application/json", "Retry-After: 10\r\n");
    buf_putf(&l->out, "{\"error\":\"%s\"}", why);
    l->ending = true;
}

static bool
parse_u32(const char *text, size_t n, uint32_t *out)
{
    uint64_t value;
    if (!parse_u64(text, n, &value) || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* "/events/sse/255/17" */
static bool
parse_path(struct herald_listener *l, const char *path, size_t n)
{
    static const char ndjson[] = "/events/ndjson/", sse[] = "/events/sse/";
    l->sse = n > sizeof sse && strncmp(path, sse, sizeof sse - 1) == 0;
    if (!l->sse && (n < sizeof ndjson || strncmp(path, ndjson, sizeof ndjson - 1) != 0))
        return false;
    const char *types = path + (l->sse ? sizeof sse : sizeof ndjson) - 1;
    const char *slash = memchr(types, '/', (size_t)(path + n - types));
    uint32_t bits;
    if (slash == NULL || !parse_u32(types, (size_t)(slash - types), &bits))
        return false;
    l->types = bits;
    const char *since = slash + 1;
    size_t since_n = (size_t)(path + n - since);
    l->fresh = since_n == 3 && memcmp(since, "new", 3) == 0;
    return l->fresh || parse_u32(since, since_n, &l->at);
}

static size_t
count_open(const struct herald_http *h)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++)
        n += is_open(&h->v[i]);
    return n;
}

static void
answer_listener(const struct herald_http *h, struct herald_listener *l, uint64_t now)
{
    const char *text = buf_text(&l->in);
    bool head = strncmp(text, "HEAD ", 5) == 0;
    const char *path = strchr(text, ' ');
    l->asking = false;
    l->beat_at = now + HERALD_HTTP_BEAT_MS;
    if ((!head && strncmp(text, "GET ", 4) != 0) ||
        !parse_path(l, path + 1, strcspn(path + 1, " \r")))
        refuse_listener(l, "400 Bad Request",
                        "the web server in front isn't configured for this registry");
    else if (count_open(h) > HERALD_HTTP_MAX)
        refuse_listener(l, "503 Service Unavailable", "too many listen to events");
    else
        put_reply_head(l, "200 OK", l->sse ? "text/event-stream" : "application/x-ndjson", "");
    l->ending = l->ending || head;
    buf_free(&l->in);
}

static void
read_request(struct herald_http *h, struct herald_listener *l, uint64_t now)
{
    char bytes[1024];
    ssize_t n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || !l->asking) {
        if (n <= 0)
            send_away(h, l);
        return;
    }
    buf_put(&l->in, bytes, (size_t)n);
    if (!buf_ok(&l->in))
        send_away(h, l);
    else if (memmem(l->in.p, l->in.n, "\r\n\r\n", 4) != NULL)
        answer_listener(h, l, now);
    if (l->fd >= 0 && !l->asking)
        write_out(h, l, now);
}

static struct herald_listener *
find_free_listener(struct herald_http *h)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->v[i].fd < 0)
            return &h->v[i];
    return h->n < HERALD_HTTP_PLACES ? &h->v[h->n++] : NULL;
}

static void
accept_listeners(struct herald_http *h, uint64_t now)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(h->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        struct herald_listener *l = find_free_listener(h);
        if (l == NULL) { /* even those who are being refused are many */
            fdio_close(fd);
            continue;
        }
        *l = (struct herald_listener){.fd = fd, .id = ++h->last_id, .asking = true, .since = now};
        if (l->id == 0) /* that is nobody's */
            l->id = ++h->last_id;
        buf_init(&l->in, REQUEST_MAX);
        buf_init(&l->out, OUT_ROOM);
    }
}

/* ---- the loop's part ---- */

size_t
herald_http_poll(const struct herald_http *h, struct pollfd *fds)
{
    size_t n = 0;
    fds[n++] = (struct pollfd){.fd = h->socket, .events = POLLIN};
    for (size_t i = 0; i < h->n; i++)
        fds[n++] = (struct pollfd){.fd = h->v[i].fd,
                                   .events = h->v[i].out.n > 0 ? POLLIN | POLLOUT : POLLIN};
    return n;
}

void
herald_http_step(struct herald_http *h, const struct pollfd *fds, size_t n, uint64_t now)
{
    for (size_t i = 1; i < n; i++) {
        struct herald_listener *l = &h->v[i - 1];
        if (l->fd < 0 || l->fd != fds[i].fd)
            continue;
        if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
            read_request(h, l, now);
        if (l->fd >= 0 && (fds[i].revents & POLLOUT))
            write_out(h, l, now);
    }
    if (n > 0 && fds[0].revents != 0 && h->socket >= 0)
        accept_listeners(h, now);
}

/* ---- what is no longer in the ring ---- */

bool
herald_http_want_page(struct herald_http *h, struct herald_message *f)
{
    if (!h->ring->begun || h->pages >= HERALD_PAGES_MAX)
        return false;
    for (size_t k = 0; k < h->n; k++) {
        struct herald_listener *l = &h->v[(h->page_next + k) % h->n];
        if (!is_open(l) || l->paging || l->fresh || l->at >= h->ring->base || l->out.n > 0)
            continue;
        h->page_next = (h->page_next + k + 1) % h->n;
        l->paging = true;
        h->pages++;
        f->type = HERALD_PAGE;
        f->id = l->id;
        f->seq = l->at;
        return true;
    }
    return false;
}

void
herald_http_take_page(struct herald_http *h, const struct herald_message *f, uint64_t now)
{
    struct herald_listener *l = NULL;
    for (size_t i = 0; i < h->n && l == NULL; i++)
        if (h->v[i].fd >= 0 && h->v[i].id == f->id)
            l = &h->v[i];
    if (l == NULL || !l->paging)
        return;
    l->paging = false;
    h->pages--;
    if (f->gone) { /* asked again, a worker tells it so */
        send_away(h, l);
        return;
    }
    for (size_t i = 0; i < f->n; i++) {
        struct buf json;
        buf_init(&json, HERALD_HTTP_OUT_MAX);
        event_text_json(&json, f->events[i].seq, &f->events[i].event);
        struct herald_ring_entry e = {.seq = f->events[i].seq,
                                      .type = f->events[i].event.type,
                                      .json = buf_ok(&json) ? json.p : NULL,
                                      .n = json.n};
        put_listener_event(l, &e);
        buf_free(&json);
    }
    if (f->n == 0 && l->at < h->ring->base)
        l->at = h->ring->base; /* there is nothing in between */
    l->beat_at = now + HERALD_HTTP_BEAT_MS;
    if (buf_ok(&l->out))
        push_one(h, l, now);
    else
        send_away(h, l);
}

void
herald_http_forget_pages(struct herald_http *h)
{
    for (size_t i = 0; i < h->n; i++)
        h->v[i].paging = false;
    h->pages = 0;
}
