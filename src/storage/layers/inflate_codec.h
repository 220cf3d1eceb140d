#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"

/* The interface between inflate.c and the decoders. Files of every format are a row of independent
 * parts: members (gzip), frames (zstd) or streams (xz, bzip2). Here all of them are called members.
 * */

enum inflate_codec_step {
    INFLATE_CODEC_MORE,   /* all input is used, or all output is filled */
    INFLATE_CODEC_BLOCK,  /* stopped between two blocks, as requested: bits and value are set */
    INFLATE_CODEC_END,    /* end of the member */
    INFLATE_CODEC_BAD,    /* damaged */
    INFLATE_CODEC_WIDE,   /* its window needs more memory than allowed */
    INFLATE_CODEC_FAILED, /* out of memory */
};

struct inflate_codec_io {
    const uint8_t *in; /* run moves both forward by the bytes used */
    size_t in_n;
    uint8_t *out;
    size_t out_n;
    size_t back;         /* number of bytes read beyond the end, perhaps of an earlier piece */
    uint8_t bits, value; /* with INFLATE_CODEC_BLOCK, as in struct inflate_checkpoint */
};

struct inflate_codec {
    /* memory is as in inflate_options. Returns NULL when there is none. */
    void *(*open)(size_t memory);
    /* Begins a member. Returns false when the library refuses. */
    bool (*begin)(void *c);
    /* between: the decoder should stop between two blocks, if it can. */
    enum inflate_codec_step (*run)(void *c, struct inflate_codec_io *io, bool between);
    /* Continues between two blocks; `window` is the output before them. fresh: nothing of this
     * member was decoded before; else this is the place where `run` has just stopped. NULL for
     * decoders that can't. */
    bool (*go_on)(void *c, struct bytes window, unsigned bits, unsigned value, bool fresh);
    void (*close)(void *c);
};

extern const struct inflate_codec inflate_codec_gzip;
extern const struct inflate_codec inflate_codec_gzip_fast; /* uses zlib in a build without ISA-L */
extern const struct inflate_codec inflate_codec_zstd;
extern const struct inflate_codec inflate_codec_xz;
extern const struct inflate_codec inflate_codec_bzip2;

/* A decoder for the deflate data (RFC 1951) inside a gzip member, by one of the libraries. */
struct inflate_codec_raw {
    void *(*open)(void);
    bool (*begin)(void *r, struct bytes window, unsigned bits, unsigned value);
    /* Continues after INFLATE_CODEC_BLOCK. */
    bool (*go_on)(void *r, struct bytes window, unsigned bits, unsigned value);
    enum inflate_codec_step (*run)(void *r, struct inflate_codec_io *io, bool between);
    uint32_t (*crc)(uint32_t crc, const uint8_t *p, size_t n);
    void (*close)(void *r);
};

extern const struct inflate_codec_raw inflate_codec_zlib;
/* NULL where ISA-L isn't built in. */
extern const struct inflate_codec_raw *const inflate_codec_isal;
