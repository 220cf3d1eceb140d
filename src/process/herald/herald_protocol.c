#include "process/herald/herald_protocol.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "util/fdio.h"
#include "util/log.h"
#include "util/banned.h"

/* Only one keeper connects, and now and then somebody who asks what is running. */
#define BACKLOG 16

/* ---- packets ---- */

/* Which fields a packet has, in this order. */
enum field {
    FIELD_SEQ = 1,
    FIELD_ID = 2,
    FIELD_TRIES = 4,
    FIELD_OK = 8,
    FIELD_GONE = 16,
    FIELD_REPOSITORY = 32,
    FIELD_LINE = 64,
    FIELD_EVENTS = 128,
};

static const unsigned fields[HERALD_LAST] = {
    [HERALD_RUNNING] = FIELD_SEQ | FIELD_REPOSITORY,
    [HERALD_HELLO] = FIELD_SEQ,
    [HERALD_SEEN] = FIELD_SEQ,
    [HERALD_DONE] = FIELD_SEQ | FIELD_OK | FIELD_REPOSITORY | FIELD_LINE,
    [HERALD_PAGE] = FIELD_SEQ | FIELD_ID,
    [HERALD_EVENTS] = FIELD_SEQ | FIELD_ID | FIELD_GONE | FIELD_EVENTS,
    [HERALD_RUN] = FIELD_TRIES | FIELD_EVENTS,
    [HERALD_TAKEN] = FIELD_SEQ,
};

static void
put_uint(struct buf *out, uint32_t v, size_t width)
{
    for (size_t i = 0; i < width; i++)
        buf_putc(out, (char)(v >> (8 * (width - 1 - i))));
}

static void
put_text(struct buf *out, const char *s)
{
    size_t n = strlen(s);
    put_uint(out, (uint32_t)n, 2);
    buf_put(out, s, n);
}

static void
put_event(struct buf *out, const struct outbox_event *e)
{
    struct buf record;
    buf_init(&record, RECORD_EVENT_MAX);
    rec_event_encode(&record, &e->event);
    put_uint(out, e->seq, 4);
    put_uint(out, (uint32_t)record.n, 2);
    buf_put(out, record.p, record.n);
    buf_free(&record);
}

void
herald_protocol_encode(struct buf *out, const struct herald_message *f)
{
    unsigned has = fields[f->type];
    put_uint(out, f->type, 1);
    if (has & FIELD_SEQ)
        put_uint(out, f->seq, 4);
    if (has & FIELD_ID)
        put_uint(out, f->id, 4);
    if (has & FIELD_TRIES)
        put_uint(out, f->tries, 4);
    if (has & FIELD_OK)
        put_uint(out, f->ok, 1);
    if (has & FIELD_GONE)
        put_uint(out, f->gone, 1);
    if (has & FIELD_REPOSITORY)
        put_text(out, f->repository);
    if (has & FIELD_LINE)
        put_text(out, f->line);
    if (has & FIELD_EVENTS) {
        put_uint(out, (uint32_t)f->n, 1);
        for (size_t i = 0; i < f->n; i++)
            put_event(out, &f->events[i]);
    }
}

static struct bytes
take(struct rec_reader *r, size_t n)
{
    struct bytes b = {r->p, n};
    if (r->bad || n > r->n) {
        r->bad = true;
        return bytes_of("", 0);
    }
    r->p += n;
    r->n -= n;
    return b;
}

static size_t
take_length(struct rec_reader *r)
{
    size_t high = rec_take_u8(r);
    return high << 8 | rec_take_u8(r);
}

static void
take_text(struct rec_reader *r, char *out, size_t room)
{
    struct bytes b = take(r, take_length(r));
    if (b.n >= room || memchr(b.p, '\0', b.n) != NULL)
        r->bad = true;
    else
        memcpy(out, b.p, b.n);
    out[r->bad ? 0 : b.n] = '\0';
}

static void
take_events(struct rec_reader *r, struct herald_message *f)
{
    struct err ignored;
    size_t n = rec_take_u8(r);
    if (n > HERALD_EVENTS_MAX || (f->type == HERALD_RUN && n != 1))
        r->bad = true;
    for (size_t i = 0; i < n && !r->bad; i++) {
        f->events[i].seq = rec_take_u32(r);
        if (rec_event_decode(&f->events[i].event, take(r, take_length(r)), &ignored) != 0)
            r->bad = true;
    }
    f->n = n;
}

int
herald_protocol_decode(struct herald_message *f, struct bytes in, struct err *err)
{
    struct rec_reader r = rec_reader_of(in);
    uint8_t type = rec_take_u8(&r);
    if (type == 0 || type >= HERALD_LAST)
        return err_set(err, ERR_CORRUPT, "a packet of an unknown kind (%u)", (unsigned)type);
    f->type = (enum herald_message_type)type;
    unsigned has = fields[type];
    if (has & FIELD_SEQ)
        f->seq = rec_take_u32(&r);
    if (has & FIELD_ID)
        f->id = rec_take_u32(&r);
    if (has & FIELD_TRIES)
        f->tries = rec_take_u32(&r);
    if (has & FIELD_OK)
        f->ok = rec_take_u8(&r) != 0;
    if (has & FIELD_GONE)
        f->gone = rec_take_u8(&r) != 0;
    if (has & FIELD_REPOSITORY)
        take_text(&r, f->repository, sizeof f->repository);
    if (has & FIELD_LINE)
        take_text(&r, f->line, sizeof f->line);
    f->n = 0;
    if (has & FIELD_EVENTS)
        take_events(&r, f);
    if (r.bad || r.n != 0)
        return err_set(err, ERR_CORRUPT, "a packet of kind %u can't be read", (unsigned)type);
    return 0;
}

/* ---- the line ---- */

static int
make_socket(const char *path, struct sockaddr_un *sa, struct err *err)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sa->sun_path)
        return err_set(err, ERR_SYSTEM, "%s: too long for the name of a socket", path);
    memcpy(sa->sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 ? fd : err_errno(err, "cannot make socket %s", path);
}

int
herald_protocol_listen(const char *path, struct err *err)
{
    struct sockaddr_un sa;
    int fd = make_socket(path, &sa, err);
    if (fd < 0)
        return -1;
    mode_t before = umask(0177);
    int r = bind(fd, (const struct sockaddr *)&sa, sizeof sa);
    umask(before);
    if (r == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    err_errno(err, "cannot listen on %s", path);
    fdio_close(fd);
    return -1;
}

void
herald_protocol_open(struct herald_line *l, int fd)
{
    l->fd = fd;
    buf_init(&l->out, HERALD_PACKET_MAX);
}

int
herald_protocol_connect(struct herald_line *l, const char *path, struct err *err)
{
    struct sockaddr_un sa;
    int fd = make_socket(path, &sa, err);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&sa, sizeof sa) < 0) {
        err_errno(err, "cannot connect to %s", path);
        fdio_close(fd);
        return -1;
    }
    herald_protocol_open(l, fd);
    return 0;
}

void
herald_protocol_close(struct herald_line *l)
{
    if (l->fd < 0)
        return;
    fdio_close(l->fd);
    l->fd = -1;
    buf_free(&l->out);
}

bool
herald_protocol_is_free(const struct herald_line *l)
{
    return l->fd >= 0 && l->out.n == 0;
}

short
herald_protocol_events(const struct herald_line *l)
{
    return l->out.n > 0 ? POLLIN | POLLOUT : POLLIN;
}

int
herald_protocol_flush(struct herald_line *l)
{
    if (l->fd < 0 || l->out.n == 0)
        return 0;
    ssize_t n;
    do
        n = send(l->fd, l->out.p, l->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
        herald_protocol_close(l);
        return -1;
    }
    if (n >= 0)
        buf_reset(&l->out);
    return 0;
}

int
herald_protocol_send(struct herald_line *l, const struct herald_message *f)
{
    herald_protocol_encode(&l->out, f);
    if (!buf_ok(&l->out)) {
        log_line(LOG_ERROR, "a packet doesn't fit, or no memory", "type=%d", (int)f->type);
        herald_protocol_close(l);
        return -1;
    }
    return herald_protocol_flush(l);
}

int
herald_protocol_receive(struct herald_line *l, struct herald_message *f)
{
    char packet[HERALD_PACKET_MAX];
    struct err err;
    ssize_t n;
    do
        n = recv(l->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n > 0 && (size_t)n <= sizeof packet &&
        herald_protocol_decode(f, bytes_of(packet, (size_t)n), &err) == 0)
        return 1;
    if (n > 0)
        log_line(LOG_ERROR, "keeper and herald don't understand each other", "bytes=%zu",
                 (size_t)n);
    herald_protocol_close(l);
    return -1;
}
