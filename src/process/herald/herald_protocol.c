#include "process/herald/herald_protocol.h"
#include <errno.h>
#include <sys/socket.h>
#include "process/server/unix_socket.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/pack.h"

/* ---- packets ---- */

/* The fields of each type of packet, in this order. */
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

static const unsigned packet_fields[HERALD_LAST] = {
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
pack_herald_event(struct buf *out, const struct outbox_event *e)
{
    struct buf record;
    buf_init(&record, TABLES_EVENT_MAX);
    record_encode(&record, &record_event, &e->event);
    pack_u32(out, e->seq);
    pack_bytes16(out, buf_bytes(&record));
    buf_free(&record);
}

void
herald_protocol_encode(struct buf *out, const struct herald_message *f)
{
    unsigned has = packet_fields[f->type];
    pack_u8(out, (uint8_t)f->type);
    if (has & FIELD_SEQ)
        pack_u32(out, f->seq);
    if (has & FIELD_ID)
        pack_u32(out, f->id);
    if (has & FIELD_TRIES)
        pack_u32(out, f->tries);
    if (has & FIELD_OK)
        pack_u8(out, f->ok);
    if (has & FIELD_GONE)
        pack_u8(out, f->gone);
    if (has & FIELD_REPOSITORY)
        pack_text(out, f->repository);
    if (has & FIELD_LINE)
        pack_text(out, f->line);
    if (has & FIELD_EVENTS) {
        pack_u8(out, (uint8_t)f->n);
        for (size_t i = 0; i < f->n; i++)
            pack_herald_event(out, &f->events[i]);
    }
}

static void
unpack_herald_events(struct unpack *u, struct herald_message *f)
{
    struct err ignored;
    size_t n = unpack_u8(u);
    if (n > HERALD_EVENTS_MAX || (f->type == HERALD_RUN && n != 1))
        u->bad = true;
    for (size_t i = 0; i < n && !u->bad; i++) {
        f->events[i].seq = unpack_u32(u);
        if (record_decode(&record_event, &f->events[i].event, unpack_bytes16(u), &ignored) != 0)
            u->bad = true;
    }
    f->n = n;
}

int
herald_protocol_decode(struct herald_message *f, struct bytes in, struct err *err)
{
    struct unpack u = unpack_of(in);
    uint8_t type = unpack_u8(&u);
    unsigned has;

    if (type == 0 || type >= HERALD_LAST)
        return err_set(err, ERR_CORRUPT, "a packet of an unknown kind (%u)", (unsigned)type);
    f->type = (enum herald_message_type)type;
    has = packet_fields[type];
    if (has & FIELD_SEQ)
        f->seq = unpack_u32(&u);
    if (has & FIELD_ID)
        f->id = unpack_u32(&u);
    if (has & FIELD_TRIES)
        f->tries = unpack_u32(&u);
    if (has & FIELD_OK)
        f->ok = unpack_u8(&u) != 0;
    if (has & FIELD_GONE)
        f->gone = unpack_u8(&u) != 0;
    if (has & FIELD_REPOSITORY)
        unpack_text(&u, f->repository, sizeof f->repository);
    if (has & FIELD_LINE)
        unpack_text(&u, f->line, sizeof f->line);
    f->n = 0;
    if (has & FIELD_EVENTS)
        unpack_herald_events(&u, f);
    if (!unpack_done(&u))
        return err_set(err, ERR_CORRUPT, "a packet of kind %u can't be read", (unsigned)type);
    return 0;
}

/* ---- the line ---- */

void
herald_protocol_open(struct herald_line *l, int fd)
{
    l->fd = fd;
    buf_init(&l->out, HERALD_PACKET_MAX);
}

int
herald_protocol_connect(struct herald_line *l, const char *path, struct err *err)
{
    int fd = unix_socket_connect(path, SOCK_SEQPACKET | SOCK_NONBLOCK, err);
    if (fd < 0)
        return -1;
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

int
herald_protocol_flush(struct herald_line *l)
{
    ssize_t n;

    if (l->fd < 0 || l->out.n == 0)
        return 0;
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
        log_line(LOG_ERROR, "a packet doesn't fit", "type=%d", (int)f->type);
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
        log_line(LOG_ERROR, "an invalid packet between keeper and herald", "bytes=%zu", (size_t)n);
    herald_protocol_close(l);
    return -1;
}
