#ifndef STORAGE_LAYERS_INFLATE_CODEC_H
#define STORAGE_LAYERS_INFLATE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"

/* What inflate.c and the decoders behind it share. All kinds of files are a row of members (gzip),
 * frames (zstd) or streams (xz, bzip2) that don't know of each other; here they are all members. */

enum inflate_codec_step {
    INFLATE_CODEC_MORE,   /* all input is used, or all output filled */
    INFLATE_CODEC_BLOCK,  /* stands between two blocks, as asked for: bits and value are set */
    INFLATE_CODEC_END,    /* of the member */
    INFLATE_CODEC_BAD,    /* damaged */
    INFLATE_CODEC_WIDE,   /* its window takes more memory than allowed */
    INFLATE_CODEC_FAILED, /* out of memory */
};

struct inflate_codec_io {
    const uint8_t *in; /* both are moved forward by what was used */
    size_t in_n;
    uint8_t *out;
    size_t out_n;
    size_t
        back; /* so many bytes were taken from the input too much (perhaps of an earlier piece) */
    uint8_t bits, value; /* with INFLATE_CODEC_BLOCK, as in struct inflate_checkpoint */
};

struct inflate_codec {
    /* memory as in inflate_options; NULL: out of memory */
    void *(*open)(size_t memory);
    /* A member begins; false: out of memory. */
    bool (*begin)(void *c);
    /* between: stop between two blocks, if you can. */
    enum inflate_codec_step (*run)(void *c, struct inflate_codec_io *io, bool between);
    /* Goes on between two blocks, with the output before it. fresh: nothing of this member was seen
     * before; else it is where `run` has just stopped. NULL for those that can't. */
    bool (*go_on)(void *c, struct bytes window, unsigned bits, unsigned value, bool fresh);
    void (*close)(void *c);
};

extern const struct inflate_codec inflate_codec_gzip;
extern const struct inflate_codec inflate_codec_gzip_fast; /* zlib as well, without ISA-L */
extern const struct inflate_codec inflate_codec_zstd;
extern const struct inflate_codec inflate_codec_xz;
extern const struct inflate_codec inflate_codec_bzip2;

/* The deflate data inside a gzip member (RFC 1951), by one library or another. */
struct inflate_codec_raw {
    void *(*open)(void);
    bool (*begin)(void *r, struct bytes window, unsigned bits, unsigned value);
    /* After INFLATE_CODEC_BLOCK, to go on. */
    bool (*go_on)(void *r, struct bytes window, unsigned bits, unsigned value);
    enum inflate_codec_step (*run)(void *r, struct inflate_codec_io *io, bool between);
    uint32_t (*crc)(uint32_t crc, const uint8_t *p, size_t n);
    void (*close)(void *r);
};

extern const struct inflate_codec_raw inflate_codec_zlib;
/* NULL where ISA-L isn't built in. */
extern const struct inflate_codec_raw *const inflate_codec_isal;

#endif
