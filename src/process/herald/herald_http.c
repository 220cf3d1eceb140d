#include "process/herald/herald_http.h"
#include <errno.h>
#include <sys/socket.h>
#include "domain/access/access.h"
#include "domain/events/event_text.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/parse.h"

#define REQUEST_MAX 4096
#define ACCEPTS_MAX 64 /* in one go */
/* One event more than HERALD_HTTP_OUT_MAX, as the event stream has it. */
#define OUT_ROOM (HERALD_HTTP_OUT_MAX + 10000)

static void
close_listener(struct herald_listener *l)
{
    if (l->fd < 0)
        return;
    if (l->paging)
        l->http->pages--;
    loop_fd_stop(&l->ready);
    loop_timer_stop(&l->stall);
    loop_timer_stop(&l->beat);
    fdio_close(l->fd);
    l->fd = -1;
    buf_free(&l->in);
    buf_free(&l->out);
}

/* ---- sending ---- */

/* The listener has until then to take something. */
static void
allow_stall(struct herald_listener *l)
{
    loop_timer_at(&l->stall, loop_now(l->http->loop) + HERALD_HTTP_STALL_MS);
}

static void
expect_beat(struct herald_listener *l)
{
    loop_timer_at(&l->beat, loop_now(l->http->loop) + HERALD_HTTP_BEAT_MS);
}

static void
send_listener_output(struct herald_listener *l)
{
    size_t done = 0;

    while (done < l->out.n) {
        ssize_t n = send(l->fd, l->out.p + done, l->out.n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            close_listener(l);
            return;
        }
        if (n < 0)
            break;
        done += (size_t)n;
    }
    if (done < l->out.n) {
        if (done > 0 || l->stall.next == NULL)
            allow_stall(l);
        memmove(l->out.p, l->out.p + done, l->out.n - done);
        buf_cut(&l->out, l->out.n - done);
        loop_fd_set(&l->ready, l->fd, POLLIN | POLLOUT);
    } else if (l->ending) {
        close_listener(l);
    } else {
        loop_timer_stop(&l->stall);
        buf_free(&l->out); /* most listeners have nothing to write most of the time */
        loop_fd_set(&l->ready, l->fd, POLLIN);
    }
}

static bool
may_see_event(const struct herald_listener *l, const char *repository)
{
    const struct registry *reg = l->http->reg;
    struct actor actor = {.user = l->user, .address = ""};

    if (access_everywhere(reg, &actor, RIGHT_PULL))
        return true;
    return repository[0] != '\0' && (access_rights(reg, &actor, repository) & RIGHT_PULL) != 0;
}

static void
put_listener_event(struct herald_listener *l, const struct herald_ring_entry *e)
{
    l->at = e->seq;
    if ((l->types & event_text_bit(e->type)) == 0 || e->type == EVENT_INDEX || e->json == NULL ||
        !may_see_event(l, e->repository))
        return;
    if (l->sse)
        buf_putf(&l->out, "id: %lu\nevent: ", (unsigned long)e->seq);
    if (l->sse)
        buf_putf(&l->out, "%s\ndata: ", event_text_type(e->type));
    buf_put(&l->out, e->json, e->n);
    buf_puts(&l->out, l->sse ? "\n\n" : "\n");
}

static bool
is_listening(const struct herald_listener *l)
{
    return l->fd >= 0 && !l->asking && !l->ending;
}

static bool
is_user_gone(const struct herald_listener *l)
{
    return l->user[0] != '\0' && !access_user_is_known(l->http->reg, l->user);
}

/* Copies events from the ring, as far as there is room. */
static void
fill_listener_output(struct herald_listener *l)
{
    const struct herald_ring *ring = l->http->ring;
    const struct herald_ring_entry *e;

    if (l->fresh && ring->begun) {
        l->at = ring->newest > ring->base ? ring->newest : ring->base;
        l->fresh = false;
    }
    if (l->fresh || !ring->begun || l->at < ring->base)
        return;
    while (l->out.n < HERALD_HTTP_OUT_MAX && (e = herald_ring_next(ring, l->at)) != NULL)
        put_listener_event(l, e);
}

/* Sends the output, until the socket takes no more. */
static void
serve_listener(struct herald_listener *l)
{
    while (is_listening(l)) {
        size_t before = l->out.n;
        fill_listener_output(l);
        if (l->out.n > before)
            expect_beat(l);
        if (l->out.n == 0)
            return;
        send_listener_output(l);
        if (l->fd >= 0 && l->out.n > 0)
            return;
    }
}

static void
on_listener_beat(void *arg)
{
    struct herald_listener *l = arg;

    access_look(l->http->reg);
    if (is_user_gone(l)) {
        close_listener(l);
        return;
    }
    expect_beat(l);
    if (l->out.n > 0)
        return; /* it is slow, so this is no silence */
    buf_puts(&l->out, l->sse ? ":\n\n" : "\n");
    serve_listener(l);
}

static void
on_listener_stall(void *arg)
{
    close_listener(arg);
}

void
herald_http_push(struct herald_http *h)
{
    for (size_t i = 0; i < h->n; i++) {
        struct herald_listener *l = &h->v[i];

        if (is_listening(l) && is_user_gone(l))
            close_listener(l);
        else if (l->fd >= 0 && l->out.n == 0)
            serve_listener(l);
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

/* "616e6e" for the user ann, or "-". */
static bool
parse_listener_user(struct herald_listener *l, const char *text, size_t n)
{
    if (n == 1 && text[0] == '-')
        return true;
    if (n == 0 || n % 2 != 0 || n / 2 > RECORD_ACTOR_MAX)
        return false;
    l->user[n / 2] = '\0';
    return hex_decode(l->user, n / 2, text, n);
}

/* "17/5f3a/616e6e": the events behind that one, for that owner and user. */
static bool
parse_listener_end(struct herald_listener *l, const char *text, size_t n)
{
    const char *slash = memchr(text, '/', n), *second;
    size_t since_n = slash != NULL ? (size_t)(slash - text) : 0, owner_n;

    second = slash != NULL ? memchr(slash + 1, '/', n - since_n - 1) : NULL;
    if (second == NULL)
        return false;
    owner_n = (size_t)(second - slash) - 1;
    if (owner_n == 0 || owner_n > HERALD_HTTP_OWNER_BYTES ||
        !parse_listener_user(l, second + 1, n - (size_t)(second + 1 - text)))
        return false;
    memcpy(l->owner, slash + 1, owner_n);
    l->owner[owner_n] = '\0';
    l->fresh = since_n == 3 && memcmp(text, "new", 3) == 0;
    return l->fresh || parse_u32(text, since_n, &l->at);
}

/* "/events/sse/255/17/5f3a/616e6e" */
static bool
parse_listener_path(struct herald_listener *l, const char *path, size_t n)
{
    static const char ndjson[] = "/events/ndjson/", sse[] = "/events/sse/";
    const char *types, *slash;
    uint32_t bits;

    l->sse = n > sizeof sse && strncmp(path, sse, sizeof sse - 1) == 0;
    if (!l->sse && (n < sizeof ndjson || strncmp(path, ndjson, sizeof ndjson - 1) != 0))
        return false;
    types = path + (l->sse ? sizeof sse : sizeof ndjson) - 1;
    slash = memchr(types, '/', (size_t)(path + n - types));
    if (slash == NULL || !parse_u32(types, (size_t)(slash - types), &bits))
        return false;
    l->types = bits;
    return parse_listener_end(l, slash + 1, (size_t)(path + n - slash - 1));
}

/* owner: NULL for all. */
static size_t
count_listening(const struct herald_http *h, const char *owner)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++)
        n += is_listening(&h->v[i]) && (owner == NULL || strcmp(h->v[i].owner, owner) == 0);
    return n;
}

static void
answer_listener(struct herald_listener *l)
{
    const char *text = buf_text(&l->in);
    bool head = strncmp(text, "HEAD ", 5) == 0;
    const char *path = strchr(text, ' ');

    l->asking = false;
    if ((!head && strncmp(text, "GET ", 4) != 0) ||
        !parse_listener_path(l, path + 1, strcspn(path + 1, " \r")))
        refuse_listener(l, "400 Bad Request",
                        "the web server in front isn't configured for this registry");
    else if (count_listening(l->http, l->owner) > HERALD_HTTP_OWNER_MAX)
        refuse_listener(l, "429 Too Many Requests",
                        "too many listeners to events of this user or address");
    else if (count_listening(l->http, NULL) > HERALD_HTTP_MAX)
        refuse_listener(l, "503 Service Unavailable", "too many listeners to events");
    else
        put_reply_head(l, "200 OK", l->sse ? "text/event-stream" : "application/x-ndjson", "");
    l->ending = l->ending || head;
    buf_free(&l->in);
    if (!l->ending)
        expect_beat(l);
    send_listener_output(l);
    serve_listener(l);
}

static void
read_listener_request(struct herald_listener *l)
{
    char bytes[1024];
    ssize_t n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0 && !l->asking)
        return; /* there is nothing more to ask for */
    if (n > 0)
        buf_put(&l->in, bytes, (size_t)n);
    if (n <= 0 || !buf_ok(&l->in))
        close_listener(l);
    else if (memmem(l->in.p, l->in.n, "\r\n\r\n", 4) != NULL)
        answer_listener(l);
}

static void
on_listener_ready(void *arg)
{
    struct herald_listener *l = arg;

    read_listener_request(l);
    if (l->fd >= 0 && l->out.n > 0) {
        send_listener_output(l);
        serve_listener(l);
    }
}

/* ---- connections ---- */

static struct herald_listener *
find_free_listener(struct herald_http *h)
{
    if (h->v == NULL)
        return NULL; /* herald_http_init has made it, which clang cannot know */
    for (size_t i = 0; i < h->n; i++)
        if (h->v[i].fd < 0)
            return &h->v[i];
    return h->n < HERALD_HTTP_PLACES ? &h->v[h->n++] : NULL;
}

static void
open_listener(struct herald_http *h, struct herald_listener *l, int fd)
{
    *l = (struct herald_listener){.http = h, .fd = fd, .id = ++h->last_id, .asking = true};
    if (l->id == 0)
        l->id = ++h->last_id;
    buf_init(&l->in, REQUEST_MAX);
    buf_init(&l->out, OUT_ROOM);
    loop_fd_init(&l->ready, h->loop, on_listener_ready, l);
    loop_timer_init(&l->stall, h->loop, on_listener_stall, l);
    loop_timer_init(&l->beat, h->loop, on_listener_beat, l);
    loop_fd_set(&l->ready, fd, POLLIN);
    allow_stall(l);
}

static void
on_listener_connection(void *arg)
{
    struct herald_http *h = arg;

    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(h->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct herald_listener *l;
        if (fd < 0)
            return;
        l = find_free_listener(h);
        if (l != NULL)
            open_listener(h, l, fd);
        else /* even the places for those that are refused are taken */
            fdio_close(fd);
    }
}

void
herald_http_init(struct herald_http *h, struct loop *loop, int socket, const struct registry *reg,
                 const struct herald_ring *ring)
{
    *h = (struct herald_http){.loop = loop, .socket = socket, .reg = reg, .ring = ring};
    h->v = mem_array(HERALD_HTTP_PLACES, sizeof *h->v);
    loop_fd_init(&h->connections, loop, on_listener_connection, h);
    loop_fd_set(&h->connections, socket, POLLIN);
}

void
herald_http_close(struct herald_http *h)
{
    for (size_t i = 0; i < h->n; i++)
        close_listener(&h->v[i]);
    loop_fd_stop(&h->connections);
    fdio_close(h->socket); /* once the master has closed it too, waiting connections are refused */
    h->socket = -1;
}

void
herald_http_free(struct herald_http *h)
{
    herald_http_close(h);
    free(h->v);
    h->v = NULL;
}

/* ---- events that are no longer in the ring ---- */

bool
herald_http_want_page(struct herald_http *h, struct herald_message *f)
{
    if (!h->ring->begun || h->pages >= HERALD_PAGES_MAX)
        return false;
    for (size_t k = 0; k < h->n; k++) {
        struct herald_listener *l = &h->v[(h->page_next + k) % h->n];
        if (!is_listening(l) || l->paging || l->fresh || l->at >= h->ring->base || l->out.n > 0)
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

static struct herald_listener *
find_paging_listener(const struct herald_http *h, uint32_t id)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->v[i].fd >= 0 && h->v[i].id == id)
            return h->v[i].paging ? &h->v[i] : NULL;
    return NULL;
}

void
herald_http_take_page(struct herald_http *h, const struct herald_message *f)
{
    struct herald_listener *l = find_paging_listener(h, f->id);

    if (l == NULL)
        return;
    access_look(h->reg);
    l->paging = false;
    h->pages--;
    if (f->gone) { /* when the client asks again, a worker tells it so */
        close_listener(l);
        return;
    }
    for (size_t i = 0; i < f->n; i++) {
        struct buf json;
        struct herald_ring_entry e;

        buf_init(&json, HERALD_HTTP_OUT_MAX);
        event_text_json(&json, f->events[i].seq, &f->events[i].event);
        e = (struct herald_ring_entry){.seq = f->events[i].seq,
                                       .type = f->events[i].event.type,
                                       .json = buf_ok(&json) ? json.p : NULL,
                                       .n = json.n,
                                       .repository = f->events[i].event.repository};
        put_listener_event(l, &e);
        buf_free(&json);
    }
    if (f->n == 0 && l->at < h->ring->base)
        l->at = h->ring->base; /* there are none in between */
    if (l->out.n > 0)
        expect_beat(l);
    if (buf_ok(&l->out))
        serve_listener(l);
    else
        close_listener(l);
}

void
herald_http_forget_pages(struct herald_http *h)
{
    for (size_t i = 0; i < h->n; i++)
        h->v[i].paging = false;
    h->pages = 0;
}
