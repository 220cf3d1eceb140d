/* The members of gzip. Header and trailer are read here, so that both libraries that decode the
 * data between them only have to know RFC 1951. */
#include <zlib.h>
#include "storage/layers/inflate_codec.h"
#include "util/mem.h"

/* RFC 1952, 2.3.1 */
#define FLAG_HCRC 0x02
#define FLAG_EXTRA 0x04
#define FLAG_NAME 0x08
#define FLAG_COMMENT 0x10
#define FLAG_RESERVED 0xe0

#define FIXED_SIZE 10
#define TRAILER_SIZE 8

/* The fields in their order in the file. Fields that the flags don't announce are skipped. */
enum stage { FIXED, EXTRA_LENGTH, EXTRA, NAME, COMMENT, HCRC, BODY, TRAILER };

struct gzip {
    const struct inflate_codec_raw *lib;
    void *raw;
    enum stage stage;
    uint8_t flags;
    uint8_t got[FIXED_SIZE]; /* the bytes read up to now of a field of fixed size */
    unsigned got_n;
    unsigned extra; /* bytes left in the extra field */
    uint32_t crc, size;
    bool whole; /* decoded from its beginning, so the trailer can be checked */
};

static void *
open_with(const struct inflate_codec_raw *lib)
{
    struct gzip *g = mem_alloc(sizeof *g);

    if ((g->raw = lib->open()) == NULL) {
        free(g);
        return NULL;
    }
    if (g != NULL)
        g->lib = lib;
    return g;
}

static void *
gzip_open(size_t memory)
{
    (void)memory; /* not needed: a window is always 32 KB */
    return open_with(&inflate_codec_zlib);
}

static void *
gzip_open_fast(size_t memory)
{
    (void)memory;
    return open_with(inflate_codec_isal != NULL ? inflate_codec_isal : &inflate_codec_zlib);
}

static void
gzip_close(void *c)
{
    struct gzip *g = c;

    g->lib->close(g->raw);
    free(g);
}

static bool
gzip_begin(void *c)
{
    struct gzip *g = c;

    g->stage = FIXED;
    g->got_n = 0;
    g->crc = g->size = 0;
    g->whole = true;
    return g->lib->begin(g->raw, bytes_of(NULL, 0), 0, 0);
}

static bool
gzip_go_on(void *c, struct bytes window, unsigned bits, unsigned value, bool fresh)
{
    struct gzip *g = c;

    if (!fresh)
        return g->lib->go_on(g->raw, window, bits, value);
    g->stage = BODY;
    g->got_n = 0;
    g->whole = false;
    return g->lib->begin(g->raw, window, bits, value);
}

/* Reads a field of n bytes into got. Returns true once it is complete. */
static bool
take_bits(struct gzip *g, struct inflate_codec_io *io, unsigned n)
{
    while (g->got_n < n && io->in_n > 0) {
        g->got[g->got_n++] = *io->in++;
        io->in_n--;
    }
    if (g->got_n < n)
        return false;
    g->got_n = 0;
    return true;
}

static bool
skip_header_text(struct inflate_codec_io *io)
{
    const uint8_t *end = memchr(io->in, 0, io->in_n);
    size_t n = end != NULL ? (size_t)(end - io->in) + 1 : io->in_n;

    io->in += n;
    io->in_n -= n;
    return end != NULL;
}

static bool
take_extra(struct gzip *g, struct inflate_codec_io *io)
{
    size_t n = g->extra < io->in_n ? g->extra : io->in_n;

    io->in += n;
    io->in_n -= n;
    g->extra -= (unsigned)n;
    return g->extra == 0;
}

/* Reads one field of the header. INFLATE_CODEC_MORE: it is incomplete, or the next one may follow.
 * */
static enum inflate_codec_step
header(struct gzip *g, struct inflate_codec_io *io)
{
    static const uint8_t flag_of[] = {[EXTRA_LENGTH] = FLAG_EXTRA,
                                      [EXTRA] = FLAG_EXTRA,
                                      [NAME] = FLAG_NAME,
                                      [COMMENT] = FLAG_COMMENT,
                                      [HCRC] = FLAG_HCRC};
    bool complete = true;

    if (g->stage == FIXED) {
        complete = take_bits(g, io, FIXED_SIZE);
        g->flags = g->got[3];
        if (complete && (g->got[2] != Z_DEFLATED || (g->flags & FLAG_RESERVED) != 0))
            return INFLATE_CODEC_BAD;
    } else if ((g->flags & flag_of[g->stage]) != 0) {
        if (g->stage == EXTRA_LENGTH) {
            complete = take_bits(g, io, 2);
            g->extra = g->got[0] + 256u * g->got[1];
        } else if (g->stage == EXTRA) {
            complete = take_extra(g, io);
        } else if (g->stage == HCRC) {
            complete = take_bits(g, io, 2); /* not checked, as most readers don't check it */
        } else {
            complete = skip_header_text(io);
        }
    }
    if (complete)
        g->stage++;
    return INFLATE_CODEC_MORE;
}

static uint32_t
little_endian(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static enum inflate_codec_step
trailer(struct gzip *g, struct inflate_codec_io *io)
{
    if (!take_bits(g, io, TRAILER_SIZE))
        return INFLATE_CODEC_MORE;
    if (g->whole && (little_endian(g->got) != g->crc || little_endian(g->got + 4) != g->size))
        return INFLATE_CODEC_BAD;
    return INFLATE_CODEC_END;
}

static enum inflate_codec_step
body(struct gzip *g, struct inflate_codec_io *io, bool between)
{
    const uint8_t *from = io->out;
    enum inflate_codec_step step = g->lib->run(g->raw, io, between);
    size_t came = (size_t)(io->out - from);

    if (g->whole)
        g->crc = g->lib->crc(g->crc, from, came);
    g->size += (uint32_t)came;
    if (step != INFLATE_CODEC_END)
        return step;
    g->stage = TRAILER;
    /* Bytes read beyond the end must be given back before the trailer is read. */
    return io->back > 0 ? INFLATE_CODEC_MORE : trailer(g, io);
}

static enum inflate_codec_step
gzip_run(void *c, struct inflate_codec_io *io, bool between)
{
    struct gzip *g = c;

    while (g->stage < BODY) {
        enum stage before = g->stage;

        if (header(g, io) == INFLATE_CODEC_BAD)
            return INFLATE_CODEC_BAD;
        if (g->stage == before)
            return INFLATE_CODEC_MORE;
    }
    return g->stage == BODY ? body(g, io, between) : trailer(g, io);
}

const struct inflate_codec inflate_codec_gzip = {gzip_open, gzip_begin, gzip_run, gzip_go_on,
                                                 gzip_close};
const struct inflate_codec inflate_codec_gzip_fast = {gzip_open_fast, gzip_begin, gzip_run,
                                                      gzip_go_on, gzip_close};
