#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* Gives the uncompressed bytes of a layer's file in any known compression, from its beginning or
 * from a checkpoint. A checkpoint is a place where decoding can start without the bytes before it.
 * Layers are untrusted: damage is one of the ways to end (inflate_end tells which). Errors are only
 * a passed limit, a failure of the machine, and a decoder that needs too much memory. */

/* The numbers are part of the stored format. */
enum inflate_format {
    INFLATE_PLAIN = 0, /* not compressed, or in an unknown format */
    INFLATE_GZIP = 1,  /* RFC 1952, any number of members */
    INFLATE_ZSTD = 2,  /* RFC 8878, frames and skippable frames */
    INFLATE_XZ = 3,
    INFLATE_BZIP2 = 4,
};
#define INFLATE_FORMATS 5

/* "plain", "gzip", ... */
const char *inflate_format_name(enum inflate_format format);
/* Detects the format from the first bytes of a file; six are enough. */
enum inflate_format inflate_detect(const void *p, size_t n);

/* Maximal size of a checkpoint's window, in bytes. */
#define INFLATE_WINDOW 32768
/* Maximal size of a piece from inflate_pull, in bytes. */
#define INFLATE_CHUNK ((size_t)256 << 10)

struct inflate_checkpoint {
    uint64_t out; /* number of uncompressed bytes before it */
    uint64_t in;  /* offset in the file where decoding starts */
    bool inside;  /* inside a gzip member, between two blocks; else at the start of a member */
    uint8_t
        bits; /* inside: number of bits (0 to 7) of the byte before `in` that are still unused */
    uint8_t value;       /* those bits */
    struct bytes window; /* inside: the uncompressed bytes before it, to which the data may refer */
};

struct inflate_options {
    uint64_t output;  /* maximum of uncompressed bytes; more are ERR_NOT_BROWSABLE; 0: no limit */
    uint64_t ratio;   /* the same as a multiple of the file's size, plus `slack`; 0: no limit */
    uint64_t slack;   /* bytes */
    size_t memory;    /* bytes for a decoder's window; a larger one is ERR_NOT_BROWSABLE */
    uint64_t spacing; /* uncompressed bytes between checkpoints, about; 0: no checkpoints */
    bool fast;        /* decode gzip with ISA-L if it is built in, else with zlib */
};

enum inflate_end {
    INFLATE_GOING = 0,
    INFLATE_WHOLE,   /* the whole file was decoded */
    INFLATE_TRAILED, /* after the good data, other bytes follow, which were ignored */
    INFLATE_CUT,     /* the file ends too early */
    INFLATE_DAMAGED, /* the data are damaged; the last bytes given may be wrong */
};

struct inflate;

/* The caller keeps fd; its offset is not used. Returns NULL on failure. */
struct inflate *inflate_open(int fd, enum inflate_format format, const struct inflate_options *o,
                             struct err *err);
/* Starts at a checkpoint instead of the beginning; call it before the first inflate_pull. The
 * limits count the bytes from there on. */
int inflate_resume(struct inflate *f, const struct inflate_checkpoint *at, struct err *err);
/* Gives the next piece, valid until the next call; it may be empty before a checkpoint. Returns 1,
 * 0 at the end, -1 on failure. */
int inflate_pull(struct inflate *f, struct bytes *out, struct err *err);
/* Skips up to n of the next bytes without reading them, and returns how many. Skips only in plain
 * files, and not beyond their end. */
uint64_t inflate_skip(struct inflate *f, uint64_t n);
/* True if a checkpoint is directly behind the piece that inflate_pull gave. Its window is valid as
 * long as the piece. */
bool inflate_checkpoint(const struct inflate *f, struct inflate_checkpoint *at);
enum inflate_end inflate_end(const struct inflate *f);
/* The number of uncompressed bytes before the next piece. */
uint64_t inflate_position(const struct inflate *f);
void inflate_close(struct inflate *f);

/* True if `fast` has an effect in this build. */
bool inflate_has_fast(void);
