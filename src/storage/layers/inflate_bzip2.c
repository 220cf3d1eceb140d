#include <bzlib.h>
#include "storage/layers/inflate_codec.h"
#include "util/mem.h"

struct bzip2 {
    bz_stream s;
    bool open;
};

static void *
bzip2_open(size_t memory)
{
    (void)memory; /* it never needs more than 3.7 MB */
    return mem_alloc(sizeof(struct bzip2));
}

static void
end_bzip2(struct bzip2 *b)
{
    if (b->open)
        BZ2_bzDecompressEnd(&b->s);
    b->open = false;
}

static void
bzip2_close(void *c)
{
    end_bzip2(c);
    free(c);
}

static bool
bzip2_begin(void *c)
{
    struct bzip2 *b = c;

    end_bzip2(b);
    b->s = (bz_stream){.next_in = NULL};
    b->open = BZ2_bzDecompressInit(&b->s, 0, 0) == BZ_OK;
    return b->open;
}

static enum inflate_codec_step
bzip2_run(void *c, struct inflate_codec_io *io, bool between)
{
    struct bzip2 *b = c;
    int ret;

    (void)between; /* not possible: blocks may begin at any bit */
    b->s.next_in = (char *)io->in;
    b->s.avail_in = (unsigned)io->in_n;
    b->s.next_out = (char *)io->out;
    b->s.avail_out = (unsigned)io->out_n;
    ret = BZ2_bzDecompress(&b->s);
    io->in = (const uint8_t *)b->s.next_in;
    io->in_n = b->s.avail_in;
    io->out = (uint8_t *)b->s.next_out;
    io->out_n = b->s.avail_out;
    switch (ret) {
    case BZ_OK:
        return INFLATE_CODEC_MORE;
    case BZ_STREAM_END:
        return INFLATE_CODEC_END;
    case BZ_MEM_ERROR:
        return INFLATE_CODEC_FAILED;
    default:
        return INFLATE_CODEC_BAD;
    }
}

const struct inflate_codec inflate_codec_bzip2 = {bzip2_open, bzip2_begin, bzip2_run, NULL,
                                                  bzip2_close};
