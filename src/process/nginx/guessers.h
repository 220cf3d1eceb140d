#pragma once

#include <stdint.h>
#include "util/err.h"

/* Addresses that send many wrong passwords. nginx learns the result of a check only after it has
 * counted the request, so it cannot limit these alone. The master counts them, in nginx's log, and
 * bars an address by an empty file of its name in run/guessers/: while that file exists, nginx
 * refuses each request with a password from there (conf/blocks.conf, block USERS). */

#define GUESSERS_MAX 256
#define GUESSER_NAME_MAX 48

struct guessers {
    int dirfd;    /* the data directory */
    uint64_t max; /* wrong passwords of a minute; 0: nobody is barred */
    struct guesser {
        char name[GUESSER_NAME_MAX]; /* "": this place is free */
        uint64_t times;
        uint64_t until_ms; /* end of the minute, or of the ban */
    } of[GUESSERS_MAX];
};

/* Makes run/guessers/, empty. */
int guessers_init(struct guessers *g, int dirfd, uint64_t max, struct err *err);

/* One more wrong password of this address. now_ms: clock_mono_ms(). Addresses beyond GUESSERS_MAX
 * are not counted. */
void guessers_count(struct guessers *g, const char *address, uint64_t now_ms);

/* Lets those in whose minute is over. Call it now and then. */
void guessers_tend(struct guessers *g, uint64_t now_ms);

/* As the map $registry_network of conf/blocks.conf: of an IPv6 address the first 64 bits, of an
 * IPv4 address in IPv6 the latter. */
void guesser_name(char name[GUESSER_NAME_MAX], const char *address);
