#ifndef PROCESS_FEED_H
#define PROCESS_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/outbox.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* What keeper and herald say to each other, in packets (SOCK_SEQPACKET), so that one that dies
 * leaves no half of anything. The herald listens on run/feed.sock, the keeper connects; either may
 * be replaced at any time, and then all begins anew with FEED_RUNNING and FEED_HELLO. */

enum feed_type {
    /* herald to keeper */
    FEED_RUNNING = 1, /* seq, repository: a hook that isn't settled yet, of an earlier connection */
    FEED_HELLO,       /* those were all; seq: the newest event that it was told of, 0 for none */
    FEED_SEEN,        /* seq: events up to this one are in the log */
    FEED_DONE,        /* seq, repository, ok, line: a hook has ended; repeated until FEED_TAKEN */
    FEED_PAGE,        /* id, seq: a listener wants what comes behind that event */
    /* keeper to herald */
    FEED_KEEPER, /* "I am the keeper", first of all */
    FEED_EVENTS, /* id 0: the newest events, in order, from behind seq on. Else the answer to
                    FEED_PAGE: all that there are behind seq, or FEED_EVENTS_MAX; `gone` says that
                    some of those were dropped already */
    FEED_RUN,    /* events[0], tries: run its hook; FEED_DONE is owed */
    FEED_TAKEN,  /* seq: FEED_DONE is in the database */
    /* somebody else to herald */
    FEED_LOOK, /* "what is running?" Answered by FEED_RUNNING and FEED_HELLO */
    FEED_LAST,
};

#define FEED_EVENTS_MAX 16
#define FEED_PACKET_MAX (32 + FEED_EVENTS_MAX * (6 + RECORD_EVENT_MAX))

struct feed {
    enum feed_type type;
    uint32_t seq;
    uint32_t id;
    uint32_t tries; /* that have failed before */
    bool ok;
    bool gone;
    char repository[RECORD_REPOSITORY_MAX + 1];
    char line[RECORD_HOOK_LINE_MAX + 1];
    size_t n;
    struct outbox_event events[FEED_EVENTS_MAX];
};

void feed_encode(struct buf *out, const struct feed *f);
/* ERR_CORRUPT unless it is exactly one packet. */
int feed_decode(struct feed *f, struct bytes in, struct err *err);

/* ---- the line between them ---- */

/* One end. Nothing blocks: a packet that the socket doesn't take is kept, and the next may be sent
 * when it is gone. */
struct feed_line {
    int fd;         /* -1: nobody there */
    struct buf out; /* what the socket didn't take */
};

#define FEED_SOCKET "run/feed.sock"

/* The listening socket of that name. -1, or the descriptor. */
int feed_listen(const char *path, struct err *err);
/* Connects: 0, or -1 (nobody listens, or too many wait). */
int feed_connect(struct feed_line *l, const char *path, struct err *err);
void feed_open(struct feed_line *l, int fd);
void feed_close(struct feed_line *l);

/* May something be sent? */
bool feed_is_free(const struct feed_line *l);
/* For poll. */
short feed_events(const struct feed_line *l);
/* Only when it is free. -1: the other is gone, and the line closed. */
int feed_send(struct feed_line *l, const struct feed *f);
/* Sends what is kept, if it can be. -1 as above. */
int feed_flush(struct feed_line *l);
/* 1, 0 there is nothing now, -1 the other is gone or talks nonsense, and the line closed. */
int feed_receive(struct feed_line *l, struct feed *f);

#endif
