#include <zlib.h>
#include "storage/layers/inflate_codec.h"
#include "util/mem.h"

/* Bits of data_type that tell where inflate() has stopped. */
#define BITS_LEFT 7
#define LAST_BLOCK 64
#define BETWEEN_BLOCKS 128

struct raw {
    z_stream z;
    uint8_t last; /* the last byte that was used */
};

static void *
zlib_open(void)
{
    struct raw *r = mem_alloc(sizeof *r);

    if (inflateInit2(&r->z, -MAX_WBITS) != Z_OK) {
        free(r);
        return NULL;
    }
    return r;
}

static void
zlib_close(void *raw)
{
    struct raw *r = raw;

    inflateEnd(&r->z);
    free(r);
}

static bool
zlib_begin(void *raw, struct bytes window, unsigned bits, unsigned value)
{
    struct raw *r = raw;

    return inflateReset(&r->z) == Z_OK &&
           (bits == 0 || inflatePrime(&r->z, (int)bits, (int)value) == Z_OK) &&
           (window.n == 0 || inflateSetDictionary(&r->z, window.p, (uInt)window.n) == Z_OK);
}

static bool
zlib_go_on(void *raw, struct bytes window, unsigned bits, unsigned value)
{
    (void)raw, (void)window, (void)bits, (void)value;
    return true;
}

static enum inflate_codec_step
zlib_run(void *raw, struct inflate_codec_io *io, bool between)
{
    struct raw *r = raw;
    int ret;

    r->z.next_in = (Bytef *)io->in;
    r->z.avail_in = (uInt)io->in_n;
    r->z.next_out = io->out;
    r->z.avail_out = (uInt)io->out_n;
    ret = inflate(&r->z, between ? Z_BLOCK : Z_NO_FLUSH);
    if (r->z.next_in > io->in)
        r->last = r->z.next_in[-1];
    io->in = r->z.next_in;
    io->in_n = r->z.avail_in;
    io->out = r->z.next_out;
    io->out_n = r->z.avail_out;
    if (ret == Z_STREAM_END)
        return INFLATE_CODEC_END;
    if (ret == Z_MEM_ERROR)
        return INFLATE_CODEC_FAILED;
    if (ret != Z_OK && ret != Z_BUF_ERROR)
        return INFLATE_CODEC_BAD;
    if (!between || (r->z.data_type & (BETWEEN_BLOCKS | LAST_BLOCK)) != BETWEEN_BLOCKS)
        return INFLATE_CODEC_MORE;
    io->bits = (uint8_t)(r->z.data_type & BITS_LEFT);
    io->value = (uint8_t)(r->last >> (8 - io->bits));
    return INFLATE_CODEC_BLOCK;
}

static uint32_t
zlib_crc(uint32_t crc, const uint8_t *p, size_t n)
{
    return n > 0 ? (uint32_t)crc32(crc, p, (uInt)n) : crc;
}

const struct inflate_codec_raw inflate_codec_zlib = {zlib_open, zlib_begin, zlib_go_on,
                                                     zlib_run,  zlib_crc,   zlib_close};
