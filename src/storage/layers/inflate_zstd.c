#include <zstd.h>
#include <zstd_errors.h>
#include "storage/layers/inflate_codec.h"

/* Maximal window, as a power of two: 128 MiB, which is zstd's own default. */
#define WINDOW_LOG_MAX 27

static void *
zstd_open(size_t memory)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    int log = WINDOW_LOG_MAX;

    while (log > 10 && (size_t)1 << log > memory)
        log--;
    if (d != NULL && ZSTD_isError(ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, log))) {
        ZSTD_freeDCtx(d);
        return NULL;
    }
    return d;
}

static void
zstd_close(void *c)
{
    ZSTD_freeDCtx(c);
}

static bool
zstd_begin(void *c)
{
    return !ZSTD_isError(ZSTD_DCtx_reset(c, ZSTD_reset_session_only));
}

static enum inflate_codec_step
zstd_run(void *c, struct inflate_codec_io *io, bool between)
{
    ZSTD_inBuffer in = {io->in, io->in_n, 0};
    ZSTD_outBuffer out = {io->out, io->out_n, 0};
    size_t ret = ZSTD_decompressStream(c, &out, &in);

    (void)between; /* not possible: a block needs those before it */
    io->in += in.pos;
    io->in_n -= in.pos;
    io->out += out.pos;
    io->out_n -= out.pos;
    if (ret == 0)
        return INFLATE_CODEC_END;
    if (!ZSTD_isError(ret))
        return INFLATE_CODEC_MORE;
    switch (ZSTD_getErrorCode(ret)) {
    case ZSTD_error_frameParameter_windowTooLarge:
        return INFLATE_CODEC_WIDE;
    case ZSTD_error_memory_allocation:
        return INFLATE_CODEC_FAILED;
    default:
        return INFLATE_CODEC_BAD;
    }
}

const struct inflate_codec inflate_codec_zstd = {zstd_open, zstd_begin, zstd_run, NULL, zstd_close};
