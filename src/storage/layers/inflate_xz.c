#include <lzma.h>
#include "storage/layers/inflate_codec.h"
#include "util/mem.h"

struct xz {
    lzma_stream s;
    size_t memory;
};

static void *
xz_open(size_t memory)
{
    struct xz *x = mem_alloc(sizeof *x);

    x->s = (lzma_stream)LZMA_STREAM_INIT;
    x->memory = memory;
    return x;
}

static void
xz_close(void *c)
{
    struct xz *x = c;

    lzma_end(&x->s);
    free(x);
}

static bool
xz_begin(void *c)
{
    struct xz *x = c;

    return lzma_stream_decoder(&x->s, x->memory, 0) == LZMA_OK;
}

static enum inflate_codec_step
xz_run(void *c, struct inflate_codec_io *io, bool between)
{
    struct xz *x = c;
    lzma_ret ret;

    (void)between;
    x->s.next_in = io->in;
    x->s.avail_in = io->in_n;
    x->s.next_out = io->out;
    x->s.avail_out = io->out_n;
    ret = lzma_code(&x->s, LZMA_RUN);
    io->in = x->s.next_in;
    io->in_n = x->s.avail_in;
    io->out = x->s.next_out;
    io->out_n = x->s.avail_out;
    switch (ret) {
    case LZMA_OK:
    case LZMA_BUF_ERROR:
    case LZMA_UNSUPPORTED_CHECK:
        return INFLATE_CODEC_MORE;
    case LZMA_STREAM_END:
        return INFLATE_CODEC_END;
    case LZMA_MEMLIMIT_ERROR:
        return INFLATE_CODEC_WIDE;
    case LZMA_MEM_ERROR:
        return INFLATE_CODEC_FAILED;
    default:
        return INFLATE_CODEC_BAD;
    }
}

const struct inflate_codec inflate_codec_xz = {xz_open, xz_begin, xz_run, NULL, xz_close};
