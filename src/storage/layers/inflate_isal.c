/* ISA-L decodes twice as fast as zlib, but has no way to stop between two blocks. There is a trick:
 * the field bfinal of its state says whether the current block is the last one, and ISA-L reads it
 * when the block ends. So bfinal is set here, and its real value is remembered. A unit test
 * compares the result with zlib. The member's CRC checks it each time, and if it is wrong, the
 * caller decodes again with zlib. */
#include "storage/layers/inflate_codec.h"

#ifdef HAVE_ISAL

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include "util/mem.h"

struct raw {
    struct inflate_state s;
    bool armed; /* bfinal was set by us */
    bool real;  /* bfinal of the block */
};

static void *
isal_open(void)
{
    struct raw *r = mem_alloc(sizeof *r);

    isal_inflate_init(&r->s);
    return r;
}

static void
isal_close(void *raw)
{
    free(raw);
}

static bool
isal_begin(void *raw, struct bytes window, unsigned bits, unsigned value)
{
    struct raw *r = raw;

    isal_inflate_reset(&r->s);
    r->s.crc_flag = ISAL_DEFLATE;
    r->armed = false;
    if (window.n > 0 &&
        isal_inflate_set_dict(&r->s, (uint8_t *)window.p, (uint32_t)window.n) != COMP_OK)
        return false;
    r->s.read_in = value;
    r->s.read_in_length = (int32_t)bits;
    return true;
}

/* Not within a block's header: there the state holds input that can't be given back. */
static void
arm(struct raw *r)
{
    if (r->armed || (r->s.block_state != ISAL_BLOCK_CODED && r->s.block_state != ISAL_BLOCK_TYPE0))
        return;
    r->real = r->s.bfinal != 0;
    r->s.bfinal = 1;
    r->armed = true;
}

static enum inflate_codec_step
isal_run(void *raw, struct inflate_codec_io *io, bool between)
{
    struct raw *r = raw;
    int ret;

    if (between)
        arm(r);
    r->s.next_in = (uint8_t *)io->in;
    r->s.avail_in = (uint32_t)io->in_n;
    r->s.next_out = io->out;
    r->s.avail_out = (uint32_t)io->out_n;
    ret = isal_inflate(&r->s);
    io->in = r->s.next_in;
    io->in_n = r->s.avail_in;
    io->out = r->s.next_out;
    io->out_n = r->s.avail_out;
    if (ret < 0)
        return INFLATE_CODEC_BAD;
    if (r->s.block_state != ISAL_BLOCK_FINISH)
        return INFLATE_CODEC_MORE;
    io->back = (size_t)r->s.read_in_length / 8;
    if (!r->armed || r->real)
        return INFLATE_CODEC_END;
    io->bits = (uint8_t)(r->s.read_in_length % 8);
    io->value = (uint8_t)(r->s.read_in & ((1u << io->bits) - 1));
    return INFLATE_CODEC_BLOCK;
}

static uint32_t
isal_crc(uint32_t crc, const uint8_t *p, size_t n)
{
    return n > 0 ? crc32_gzip_refl(crc, p, n) : crc;
}

static const struct inflate_codec_raw isal = {isal_open, isal_begin, isal_begin,
                                              isal_run,  isal_crc,   isal_close};
const struct inflate_codec_raw *const inflate_codec_isal = &isal;

#else
#include <stddef.h>
const struct inflate_codec_raw *const inflate_codec_isal = NULL;
#endif

#include "util/mem.h"
