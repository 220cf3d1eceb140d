#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/outbox.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* What keeper and herald say to each other, in packets (SOCK_SEQPACKET), so that one that dies
 * leaves no half of anything. The herald listens on SERVER_FEED_NAME, the keeper connects; either
 * may be replaced at any time, and then all begins anew with HERALD_RUNNING and HERALD_HELLO. */

enum herald_message_type {
    /* herald to keeper */
    HERALD_RUNNING =
        1,        /* seq, repository: a hook that isn't settled yet, of an earlier connection */
    HERALD_HELLO, /* those were all; seq: the newest event that it was told of, 0 for none */
    HERALD_SEEN,  /* seq: events up to this one are in the log */
    HERALD_DONE,  /* seq, repository, ok, line: a hook has ended; repeated until HERALD_TAKEN */
    HERALD_PAGE,  /* id, seq: a listener wants what comes behind that event */
    /* keeper to herald */
    HERALD_KEEPER, /* "I am the keeper", first of all */
    HERALD_EVENTS, /* id 0: the newest events, in order, from behind seq on. Else the answer to
                    HERALD_PAGE: all that there are behind seq, or HERALD_EVENTS_MAX; `gone` says
                    that some of those were dropped already */
    HERALD_RUN,    /* events[0], tries: run its hook; HERALD_DONE is owed */
    HERALD_TAKEN,  /* seq: HERALD_DONE is in the database */
    /* somebody else to herald */
    HERALD_LOOK, /* "what is running?" Answered by HERALD_RUNNING and HERALD_HELLO */
    HERALD_LAST,
};

#define HERALD_EVENTS_MAX 16
#define HERALD_PAGES_MAX 4 /* requests for a page that the keeper may owe at once */
#define HERALD_PACKET_MAX (32 + HERALD_EVENTS_MAX * (6 + TABLES_EVENT_MAX))

struct herald_message {
    enum herald_message_type type;
    uint32_t seq;
    uint32_t id;
    uint32_t tries; /* that have failed before */
    bool ok;
    bool gone;
    char repository[RECORD_REPOSITORY_MAX + 1];
    char line[RECORD_HOOK_LINE_MAX + 1];
    size_t n;
    struct outbox_event events[HERALD_EVENTS_MAX];
};

void herald_protocol_encode(struct buf *out, const struct herald_message *f);
/* ERR_CORRUPT unless it is exactly one packet. */
int herald_protocol_decode(struct herald_message *f, struct bytes in, struct err *err);

/* ---- the line between them ---- */

/* One end. Nothing blocks: a packet that the socket doesn't take is kept, and the next may be sent
 * when it is gone. */
struct herald_line {
    int fd;         /* -1: nobody there */
    struct buf out; /* what the socket didn't take */
};

/* Connects: 0, or -1 (nobody listens, or too many wait). */
int herald_protocol_connect(struct herald_line *l, const char *path, struct err *err);
void herald_protocol_open(struct herald_line *l, int fd);
void herald_protocol_close(struct herald_line *l);

/* May something be sent? */
bool herald_protocol_is_free(const struct herald_line *l);
/* Only when it is free. -1: the other is gone, and the line closed. */
int herald_protocol_send(struct herald_line *l, const struct herald_message *f);
/* Sends what is kept, if it can be. -1 as above. */
int herald_protocol_flush(struct herald_line *l);
/* 1, 0 there is nothing now, -1 the other is gone or talks nonsense, and the line closed. */
int herald_protocol_receive(struct herald_line *l, struct herald_message *f);
