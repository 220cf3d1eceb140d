#ifndef STORAGE_LAYERS_INFLATE_H
#define STORAGE_LAYERS_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* The uncompressed bytes of a layer's file, whatever it is compressed with, from the beginning or
 * from a checkpoint: a place from which decoding can go on without what is before it. Layers come
 * from strangers: damage is an end like any other (inflate_end tells which), and only a passed
 * limit, the machine, or a decoder's memory are errors. */

/* The numbers are stored. */
enum inflate_format {
    INFLATE_PLAIN = 0, /* not compressed, or in no way that we know */
    INFLATE_GZIP = 1,  /* RFC 1952, of any number of members */
    INFLATE_ZSTD = 2,  /* RFC 8878, frames and skippable frames */
    INFLATE_XZ = 3,
    INFLATE_BZIP2 = 4,
};
#define INFLATE_FORMATS 5

/* "plain", "gzip", ... */
const char *inflate_format_name(enum inflate_format format);
/* By the first bytes of a file; six are enough. */
enum inflate_format inflate_detect(const void *p, size_t n);

/* How far a checkpoint's decoder looks back, at most. */
#define INFLATE_WINDOW 32768
/* The longest piece that inflate_pull gives. */
#define INFLATE_CHUNK ((size_t)256 << 10)

struct inflate_checkpoint {
    uint64_t out;  /* how many uncompressed bytes are before it */
    uint64_t in;   /* where in the file decoding goes on */
    bool inside;   /* inside a gzip member, between two blocks; else a member begins here */
    uint8_t bits;  /* inside: so many bits (0 to 7) of the byte before `in` are not used yet */
    uint8_t value; /* these bits */
    struct bytes window; /* inside: the uncompressed bytes before it that may be referred to */
};

struct inflate_options {
    uint64_t output; /* more uncompressed bytes are ERR_NOT_BROWSABLE; 0: no limit */
    uint64_t ratio; /* and so are more than ratio times the file's size, and `slack`; 0: no limit */
    uint64_t slack; /* bytes */
    size_t memory;  /* for a decoder's window: one that needs more is ERR_NOT_BROWSABLE */
    uint64_t spacing; /* a checkpoint after about so many uncompressed bytes; 0: none */
    bool fast;        /* gzip by ISA-L where it is built in; else zlib */
};

enum inflate_end {
    INFLATE_GOING = 0,
    INFLATE_WHOLE,   /* all of the file was good */
    INFLATE_TRAILED, /* behind what was good comes something else, which is not looked at */
    INFLATE_CUT,     /* the file ends too early */
    INFLATE_DAMAGED, /* what came out so far may be wrong at its end */
};

struct inflate;

/* fd stays the caller's; its offset is not used. NULL: failed. */
struct inflate *inflate_open(int fd, enum inflate_format format, const struct inflate_options *o,
                             struct err *err);
/* Before the first inflate_pull: go on from there instead of from the beginning. The limits count
 * what comes out from now on. */
int inflate_resume(struct inflate *f, const struct inflate_checkpoint *at, struct err *err);
/* The next piece (empty, perhaps, before a checkpoint), valid until the next call. 1, 0 at the end,
 * -1. */
int inflate_pull(struct inflate *f, struct bytes *out, struct err *err);
/* Passes over as many of the next n bytes as can be without reading them: of plain files only, and
 * not beyond their end. How many. */
uint64_t inflate_skip(struct inflate *f, uint64_t n);
/* Whether a checkpoint lies just behind the piece that inflate_pull gave; its window is valid as
 * long as the piece. */
bool inflate_checkpoint(const struct inflate *f, struct inflate_checkpoint *at);
enum inflate_end inflate_end(const struct inflate *f);
/* How far it is: the uncompressed bytes before what the next inflate_pull gives. */
uint64_t inflate_position(const struct inflate *f);
void inflate_close(struct inflate *f);

/* Whether `fast` does anything in this build. */
bool inflate_has_fast(void);

#endif
