#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/outbox.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The messages between keeper and herald, in packets (SOCK_SEQPACKET), so that a sender that dies
 * leaves no part of a message. The herald listens on SERVER_FEED_NAME, and the keeper connects.
 * Either may be replaced at any time; then they start again with HERALD_RUNNING and
 * HERALD_HELLO. */

enum herald_message_type {
    /* herald to keeper */
    HERALD_RUNNING = 1, /* seq, repository: a hook of an earlier connection whose result isn't in
                         * the database yet */
    HERALD_HELLO,       /* end of the list; seq: the newest event that it knows, 0 for none */
    HERALD_SEEN,        /* seq: events up to this one are in the log */
    HERALD_DONE, /* seq, repository, ok, line: a hook has ended; repeated until HERALD_TAKEN */
    HERALD_PAGE, /* id, seq: a listener needs the events after seq */
    /* keeper to herald */
    HERALD_KEEPER, /* the keeper's first message, which identifies it */
    HERALD_EVENTS, /* id 0: the newest events after seq, in order. Otherwise the answer to
                    * HERALD_PAGE: all events after seq, up to HERALD_EVENTS_MAX; `gone`: some of
                    * them were dropped already */
    HERALD_RUN,    /* events[0], tries: run its hook, and answer HERALD_DONE */
    HERALD_TAKEN,  /* seq: HERALD_DONE is in the database */
    HERALD_LEAD,   /* this node leads for HERALD_LEAD_MS more; then the hooks are ended */
    HERALD_FOLLOW, /* another node leads: hooks that run are ended, and runs of them aren't
                    * reported; events are for listeners, and not for the log */
    /* another process to herald */
    HERALD_LOOK, /* asks for the running hooks; the answer is HERALD_RUNNING and HERALD_HELLO */
    HERALD_LAST,
};

/* Less than KV_NODE_HANDOVER_MS, after which the next leader runs these hooks again. */
#define HERALD_LEAD_MS 12000

#define HERALD_EVENTS_MAX 16
#define HERALD_PAGES_MAX 4 /* requests for pages that may be pending at the same time */
#define HERALD_PACKET_MAX (32 + HERALD_EVENTS_MAX * (6 + TABLES_EVENT_MAX))

struct herald_message {
    enum herald_message_type type;
    uint32_t seq;
    uint32_t id;
    uint32_t tries; /* earlier tries, which failed */
    bool ok;
    bool gone;
    char repository[RECORD_REPOSITORY_MAX + 1];
    char line[RECORD_HOOK_LINE_MAX + 1];
    size_t n;
    struct outbox_event events[HERALD_EVENTS_MAX];
};

void herald_protocol_encode(struct buf *out, const struct herald_message *f);
/* Decodes a packet. ERR_CORRUPT unless it is exactly one. */
int herald_protocol_decode(struct herald_message *f, struct bytes in, struct err *err);

/* ---- the line between them ---- */

/* One end of the connection. It never blocks: a packet that the socket doesn't accept is kept, and
 * the next one can be sent when that is gone. */
struct herald_line {
    int fd;         /* -1: nobody there */
    struct buf out; /* the kept packet */
};

/* Connects: 0, or -1 (nobody listens, or too many wait). */
int herald_protocol_connect(struct herald_line *l, const char *path, struct err *err);
void herald_protocol_open(struct herald_line *l, int fd);
void herald_protocol_close(struct herald_line *l);

/* True if a packet can be sent. */
bool herald_protocol_is_free(const struct herald_line *l);
/* Sends a packet. Call it only when herald_protocol_is_free. -1: the peer is gone, and the
 * connection was closed. */
int herald_protocol_send(struct herald_line *l, const struct herald_message *f);
/* Tries to send the kept packet. -1 as above. */
int herald_protocol_flush(struct herald_line *l);
/* Receives a packet: 1; 0: there is none now; -1: the peer is gone or sent an invalid packet, and
 * the connection was closed. */
int herald_protocol_receive(struct herald_line *l, struct herald_message *f);
