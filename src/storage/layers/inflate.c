#include "storage/layers/inflate.h"
#include <sys/stat.h>
#include "storage/layers/inflate_codec.h"
#include "util/fdio.h"
#include "util/mem.h"

#define IN_SIZE ((size_t)256 << 10)

/* Bytes that are enough to detect every format. */
#define MAGIC_MAX 6

/* Checkpoints per spacing at starts of members. They may be closer there, because they need no
 * window. */
#define MEMBERS_PER_SPACING 4

struct inflate {
    int fd;
    const struct inflate_codec *codec; /* NULL: plain */
    enum inflate_format format;
    void *state;
    uint64_t spacing;
    uint64_t size;  /* bytes in the file */
    uint64_t limit; /* maximum of uncompressed bytes */
    uint64_t came;  /* uncompressed bytes up to now */

    uint64_t in_pos; /* offset of in[in_at] in the file */
    size_t in_at, in_n;
    bool in_eof;

    uint64_t out_pos;    /* uncompressed position of the next piece */
    uint64_t member_out; /* bytes of it in this member (after a resume, with its window) */
    uint64_t last;       /* out_pos of the last checkpoint */
    size_t out_n;        /* length of the last piece */
    bool begun;          /* a member is being decoded */
    bool has_checkpoint;
    struct inflate_checkpoint checkpoint;
    enum inflate_end end;

    uint8_t in[IN_SIZE];
    uint8_t out[INFLATE_WINDOW + INFLATE_CHUNK]; /* pieces begin at INFLATE_WINDOW */
};

const char *
inflate_format_name(enum inflate_format format)
{
    static const char *const names[INFLATE_FORMATS] = {"plain", "gzip", "zstd", "xz", "bzip2"};

    return format < INFLATE_FORMATS ? names[format] : "unknown";
}

enum inflate_format
inflate_detect(const void *p, size_t n)
{
    const uint8_t *b = p;

    if (n >= 3 && memcmp(b, "\x1f\x8b\x08", 3) == 0)
        return INFLATE_GZIP;
    if (n >= 4 && memcmp(b, "\x28\xb5\x2f\xfd", 4) == 0)
        return INFLATE_ZSTD;
    if (n >= 4 && (b[0] & 0xf0) == 0x50 && memcmp(b + 1, "\x2a\x4d\x18", 3) == 0)
        return INFLATE_ZSTD; /* a skippable frame */
    if (n >= 6 && memcmp(b,
                         "\xfd"
                         "7zXZ\0",
                         6) == 0)
        return INFLATE_XZ;
    if (n >= 3 && memcmp(b, "BZh", 3) == 0)
        return INFLATE_BZIP2;
    return INFLATE_PLAIN;
}

static const struct inflate_codec *
codec_of(enum inflate_format format, bool fast)
{
    switch (format) {
    case INFLATE_GZIP:
        return fast ? &inflate_codec_gzip_fast : &inflate_codec_gzip;
    case INFLATE_ZSTD:
        return &inflate_codec_zstd;
    case INFLATE_XZ:
        return &inflate_codec_xz;
    case INFLATE_BZIP2:
        return &inflate_codec_bzip2;
    case INFLATE_PLAIN:
        break;
    }
    return NULL;
}

static uint64_t
limit_of(const struct inflate_options *o, uint64_t size)
{
    uint64_t limit = o->output != 0 ? o->output : UINT64_MAX;
    uint64_t by_ratio;

    if (o->ratio == 0 || __builtin_mul_overflow(size, o->ratio, &by_ratio) ||
        __builtin_add_overflow(by_ratio, o->slack, &by_ratio))
        return limit;
    return limit < by_ratio ? limit : by_ratio;
}

struct inflate *
inflate_open(int fd, enum inflate_format format, const struct inflate_options *o, struct err *err)
{
    struct inflate *f;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        err_errno(err, "cannot stat a layer");
        return NULL;
    }
    f = mem_resize(NULL, 1, sizeof *f);
    memset(f, 0, offsetof(struct inflate, in));
    f->fd = fd;
    f->format = format;
    f->codec = codec_of(format, o->fast);
    f->spacing = o->spacing;
    f->size = (uint64_t)st.st_size;
    f->limit = limit_of(o, f->size);
    if (f->codec != NULL && (f->state = f->codec->open(o->memory)) == NULL)
        mem_exhausted();
    return f;
}

void
inflate_close(struct inflate *f)
{
    if (f == NULL)
        return;
    if (f->codec != NULL)
        f->codec->close(f->state);
    free(f);
}

int
inflate_resume(struct inflate *f, const struct inflate_checkpoint *at, struct err *err)
{
    if (at->window.n > INFLATE_WINDOW || at->bits > 7 || at->value >> at->bits != 0)
        return err_set(err, ERR_CORRUPT, "an invalid checkpoint");
    f->in_pos = at->in;
    f->out_pos = f->last = at->out;
    if (!at->inside)
        return 0;
    if (f->codec == NULL || f->codec->go_on == NULL)
        return err_set(err, ERR_CORRUPT, "a checkpoint of another format");
    if (!f->codec->go_on(f->state, at->window, at->bits, at->value, true))
        return err_set(err, ERR_SYSTEM, "cannot set up the decoder of a layer");
    if (at->window.n > 0)
        memcpy(f->out + INFLATE_WINDOW - at->window.n, at->window.p, at->window.n);
    f->member_out = at->window.n;
    f->begun = true;
    return 0;
}

/* Reads until `want` bytes are in the buffer, or the file ends. */
static int
fill_input(struct inflate *f, size_t want, struct err *err)
{
    ssize_t n;

    if (f->in_n - f->in_at >= want)
        return 0;
    memmove(f->in, f->in + f->in_at, f->in_n - f->in_at);
    f->in_n -= f->in_at;
    f->in_at = 0;
    if (f->in_eof)
        return 0;
    n = fdio_read_at(f->fd, f->in + f->in_n, IN_SIZE - f->in_n, f->in_pos + f->in_n);
    if (n < 0)
        return err_errno(err, "cannot read a layer");
    f->in_n += (size_t)n;
    f->in_eof = f->in_n < IN_SIZE;
    return 0;
}

static void
skip_in(struct inflate *f, size_t n)
{
    f->in_at += n;
    f->in_pos += n;
}

/* Moves back by n bytes, out of the buffer if necessary. */
static void
back_in(struct inflate *f, size_t n)
{
    f->in_pos -= n;
    if (n <= f->in_at) {
        f->in_at -= n;
    } else {
        f->in_at = f->in_n = 0;
        f->in_eof = false;
    }
}

/* The bytes of this member before `p` that are still in the buffer, at most a window. */
static struct bytes
window_before(const struct inflate *f, const uint8_t *p)
{
    size_t n = f->member_out < INFLATE_WINDOW ? (size_t)f->member_out : INFLATE_WINDOW;

    return bytes_of(p - n, n);
}

static void
put_checkpoint(struct inflate *f, struct inflate_checkpoint at)
{
    at.in = f->in_pos;
    at.out = f->last = f->out_pos;
    f->checkpoint = at;
    f->has_checkpoint = true;
}

/* Continues between two members. */
static int
next_member(struct inflate *f, struct err *err)
{
    if (fill_input(f, MAGIC_MAX, err) != 0)
        return -1;
    if (f->in_at == f->in_n) {
        f->end = f->in_pos == 0 ? INFLATE_CUT : INFLATE_WHOLE;
    } else if (inflate_detect(f->in + f->in_at, f->in_n - f->in_at) != f->format) {
        f->end = INFLATE_TRAILED;
    } else {
        if (!f->codec->begin(f->state))
            return err_set(err, ERR_SYSTEM, "cannot set up the decoder of a layer");
        f->member_out = 0;
        f->begun = true;
    }
    return 0;
}

static int
after_step(struct inflate *f, enum inflate_codec_step step, const struct inflate_codec_io *io,
           struct err *err)
{
    switch (step) {
    case INFLATE_CODEC_MORE:
        break;
    case INFLATE_CODEC_BLOCK: {
        struct bytes window = window_before(f, io->out);
        put_checkpoint(f,
                       (struct inflate_checkpoint){
                           .inside = true, .bits = io->bits, .value = io->value, .window = window});
        if (!f->codec->go_on(f->state, window, io->bits, io->value, false))
            return err_set(err, ERR_SYSTEM, "cannot set up the decoder of a layer");
        break;
    }
    case INFLATE_CODEC_END:
        f->begun = false;
        if (next_member(f, err) != 0)
            return -1;
        if (f->begun && f->spacing != 0 && f->out_pos - f->last >= f->spacing / MEMBERS_PER_SPACING)
            put_checkpoint(f, (struct inflate_checkpoint){.inside = false});
        break;
    case INFLATE_CODEC_BAD:
        f->end = INFLATE_DAMAGED;
        break;
    case INFLATE_CODEC_WIDE:
        return err_set(err, ERR_NOT_BROWSABLE, "its %s window needs too much memory",
                       inflate_format_name(f->format));
    case INFLATE_CODEC_FAILED:
        mem_exhausted();
    }
    return 0;
}

/* Calls the decoder once. */
static int
decode_step(struct inflate *f, uint8_t **out, struct err *err)
{
    struct inflate_codec_io io = {.out = *out};
    enum inflate_codec_step did;
    size_t used, came;

    if (fill_input(f, 1, err) != 0)
        return -1;
    io.in = f->in + f->in_at;
    io.in_n = f->in_n - f->in_at;
    io.out_n = (size_t)(f->out + sizeof f->out - *out);
    did = f->codec->run(f->state, &io, f->spacing != 0 && f->out_pos - f->last >= f->spacing);
    used = (size_t)(io.in - (f->in + f->in_at));
    came = (size_t)(io.out - *out);
    skip_in(f, used);
    back_in(f, io.back);
    f->out_pos += came;
    f->member_out += came;
    *out = io.out;
    if (did == INFLATE_CODEC_MORE && used == 0 && came == 0 && io.back == 0 && f->in_eof)
        f->end = INFLATE_CUT;
    return after_step(f, did, &io, err);
}

static int
pull_plain(struct inflate *f, struct bytes *out, struct err *err)
{
    if (fill_input(f, 1, err) != 0)
        return -1;
    *out = bytes_of(f->in + f->in_at, f->in_n - f->in_at);
    if (out->n == 0)
        f->end = INFLATE_WHOLE;
    skip_in(f, out->n);
    f->out_pos += out->n;
    return 0;
}

static int
pull_codec(struct inflate *f, struct bytes *out, struct err *err)
{
    uint8_t *start = f->out + INFLATE_WINDOW, *at = start;
    size_t keep = f->out_n < INFLATE_WINDOW ? f->out_n : INFLATE_WINDOW;

    /* The window for the next piece ends where the piece begins. */
    if (keep > 0)
        memmove(f->out, f->out + f->out_n, INFLATE_WINDOW);
    if (!f->begun && next_member(f, err) != 0)
        return -1;
    while (f->end == INFLATE_GOING && !f->has_checkpoint && at < f->out + sizeof f->out)
        if (decode_step(f, &at, err) != 0)
            return -1;
    f->out_n = (size_t)(at - start);
    *out = bytes_of(start, f->out_n);
    return 0;
}

int
inflate_pull(struct inflate *f, struct bytes *out, struct err *err)
{
    *out = bytes_of(NULL, 0);
    do {
        f->has_checkpoint = false;
        if (f->end != INFLATE_GOING)
            return 0;
        if ((f->codec == NULL ? pull_plain(f, out, err) : pull_codec(f, out, err)) != 0)
            return -1;
    } while (out->n == 0 && !f->has_checkpoint);
    f->came += out->n;
    if (f->came > f->limit)
        return err_set(err, ERR_NOT_BROWSABLE, "it expands to more than %llu bytes",
                       (unsigned long long)f->limit);
    return 1;
}

uint64_t
inflate_skip(struct inflate *f, uint64_t n)
{
    uint64_t left = f->size > f->in_pos ? f->size - f->in_pos : 0;

    if (f->codec != NULL || f->in_at < f->in_n)
        return 0;
    n = n < left ? n : left;
    f->in_pos += n;
    f->out_pos += n;
    f->came += n;
    return n;
}

bool
inflate_checkpoint(const struct inflate *f, struct inflate_checkpoint *at)
{
    if (f->has_checkpoint)
        *at = f->checkpoint;
    return f->has_checkpoint;
}

enum inflate_end
inflate_end(const struct inflate *f)
{
    return f->end;
}

uint64_t
inflate_position(const struct inflate *f)
{
    return f->out_pos;
}

bool
inflate_has_fast(void)
{
    return inflate_codec_isal != NULL;
}
