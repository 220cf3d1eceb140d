#include "process/keeper/scrub.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "domain/check/damage.h"
#include "domain/check/scrub_place.h"
#include "domain/metrics/metrics.h"
#include "storage/files/blob_file.h"
#include "storage/files/blob_remote.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "util/clock.h"
#include "util/confined.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"

#define RATE (32u << 20) /* bytes a second */
#define PIECE (1u << 20)
#define CHILD_MEMORY (512u << 20)
#define DAY_MS UINT64_C(86400000)
#define SETTLE_EACH_MS 2000
#define SETTLE_FAR_MS 30000 /* if the database is elsewhere, and each look is a flight */
#define AGAIN_MS 60000      /* after a failure of the machine */

enum verdict {
    VERDICT_NONE,
    VERDICT_GOOD,
    VERDICT_OTHER_DIGEST,
    VERDICT_OTHER_SIZE,
    VERDICT_ERRNO,
    VERDICT_MISSING,
    VERDICT_UNKNOWN, /* S3 doesn't answer: try again later */
};

struct scrub_answer {
    enum verdict verdict;
    int sys;
    char why[CONFINED_WHY_MAX]; /* of VERDICT_UNKNOWN */
};

struct scrub {
    const struct registry *reg;
    uint64_t round_ms; /* 0: never */
    struct scrub_place place;
    struct scrub_blob blob; /* that the child reads */
    int fd;
    struct confined child; /* pid 0: there is none */
    struct loop_fd ended;
    struct loop_timer due;
    uint64_t next_ms; /* clock_mono_ms() of the next look for a blob */
    uint64_t settle_ms;
};

static void
wake_up(void *arg)
{
    (void)arg; /* loop_wait returns, and the keeper calls scrub_step */
}

struct scrub *
scrub_new(const struct options *o, const struct registry *reg, struct loop *loop)
{
    struct scrub *s = mem_alloc(sizeof *s);

    s->reg = reg;
    s->round_ms = o->scrub_days * DAY_MS;
    s->fd = -1;
    s->child = (struct confined){.ended = -1};
    loop_fd_init(&s->ended, loop, wake_up, s);
    loop_timer_init(&s->due, loop, wake_up, s);
    return s;
}

static void
end_child(struct scrub *s)
{
    loop_fd_stop(&s->ended);
    confined_stop(&s->child);
    fdio_close(s->fd);
    s->fd = -1;
}

void
scrub_free(struct scrub *s)
{
    struct err ignored;

    if (s == NULL)
        return;
    if (s->child.pid != 0)
        end_child(s);
    loop_timer_stop(&s->due);
    scrub_place_done(s->reg, &s->place, NULL, true, &ignored);
    free(s);
}

/* ---- in the child ---- */

/* From the disk, and not from memory, where the file may be good. */
static void
read_in_child(void *arg, void *answer)
{
    const struct scrub *s = arg;
    struct scrub_answer *a = answer;
    struct digest_state *state = digest_begin(s->blob.digest.algo);
    uint8_t *piece = mem_alloc(PIECE);
    uint64_t at = 0, began = clock_mono_ms(), due;
    struct digest actual;
    ssize_t n;

    posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
    while ((n = fdio_read_at(s->fd, piece, PIECE, at)) > 0) {
        digest_update(state, piece, (size_t)n);
        at += (uint64_t)n;
        due = began + at * 1000 / RATE;
        if (due > clock_mono_ms())
            clock_sleep_ms(due - clock_mono_ms());
    }
    a->sys = n < 0 ? errno : 0;
    digest_end(state, &actual);
    free(piece);
    if (a->sys != 0)
        a->verdict = VERDICT_ERRNO;
    else if (at != s->blob.r.size)
        a->verdict = VERDICT_OTHER_SIZE;
    else
        a->verdict = digest_equal(&actual, &s->blob.digest) ? VERDICT_GOOD : VERDICT_OTHER_DIGEST;
}

static void
read_remote_in_child(void *arg, void *answer)
{
    const struct scrub *s = arg;
    struct scrub_answer *a = answer;
    struct err err;
    int rc;

    blob_remote_begin_child(s->reg->blobs);
    rc = blob_remote_verify(s->reg->blobs, &s->blob.digest, s->blob.r.instance, RATE, &err);
    a->verdict = rc == 1                   ? VERDICT_GOOD
                 : rc == 0                 ? VERDICT_MISSING
                 : err.code == ERR_CORRUPT ? VERDICT_OTHER_DIGEST
                                           : VERDICT_UNKNOWN;
    if (a->verdict == VERDICT_UNKNOWN)
        snprintf(a->why, sizeof a->why, "%.*s", (int)sizeof a->why - 1, err.message);
}

/* ---- what it has found ---- */

static int
note_scrub_damage(struct scrub *s, const char *why, bool *told, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    int rc = damage_note(s->reg, &s->blob.digest, s->blob.r.instance, why, err);

    if (rc != 1)
        return rc;
    digest_text(text, &s->blob.digest);
    log_line(LOG_ERROR, "a blob is damaged: repair it with fsck, and push it again",
             "blob=%s why=%s", text, why);
    *told = true;
    return 0;
}

/* A blob that was collected meanwhile has no file. */
static int
note_missing(struct scrub *s, bool *told, struct err *err)
{
    struct rec_blob now;
    int rc = tbl_blob_get(kv_reads(s->reg->kv), &s->blob.digest, &now, err);

    if (rc == 1 && now.instance == s->blob.r.instance)
        rc = note_scrub_damage(s, "its file is missing", told, err);
    return rc < 0 ? -1 : 0;
}

static int
take_verdict(struct scrub *s, bool *told, struct err *err)
{
    struct scrub_answer a = *(struct scrub_answer *)s->child.answer;
    char why[RECORD_DAMAGE_WHY_MAX + 1] = "";
    int rc = 0;

    end_child(s);
    if (a.verdict == VERDICT_UNKNOWN)
        return err_set(err, ERR_BUSY, "%.*s", (int)sizeof a.why, a.why);
    if (a.verdict == VERDICT_MISSING)
        rc = note_missing(s, told, err);
    if (a.verdict == VERDICT_OTHER_DIGEST)
        snprintf(why, sizeof why, "its file has another digest");
    else if (a.verdict == VERDICT_OTHER_SIZE)
        snprintf(why, sizeof why, "its file has another size");
    else if (a.verdict == VERDICT_ERRNO)
        snprintf(why, sizeof why, "its file can't be read: %s", strerror(a.sys));
    if (why[0] != '\0')
        rc = note_scrub_damage(s, why, told, err);
    if (a.verdict != VERDICT_NONE) /* it was killed */
        metrics_count(s->reg->counts, METRIC_SCRUBBED,
                      a.verdict == VERDICT_GOOD ? METRICS_OK : METRICS_FAILED, 1);
    return rc != 0 ? -1 : scrub_place_done(s->reg, &s->place, &s->blob.digest, false, err);
}

/* ---- from blob to blob ---- */

static int
start_child(struct scrub *s, struct err *err)
{
    struct confined_limits limits = {.memory = CHILD_MEMORY, .background = true};
    bool remote = blob_remote_is(s->reg->blobs);

    limits.seconds = 60 + (unsigned)(s->blob.r.size / (16u << 20));
    if (confined_start(&s->child, remote ? read_remote_in_child : read_in_child, s, &s->fd,
                       remote ? 0 : 1, &limits, sizeof(struct scrub_answer), err) != 0) {
        fdio_close(s->fd);
        s->fd = -1;
        return -1;
    }
    loop_fd_set(&s->ended, s->child.ended, POLLIN);
    return 0;
}

static int
open_blob(struct scrub *s, bool *told, struct err *err)
{
    int rc;

    if (blob_remote_is(s->reg->blobs))
        return start_child(s, err);
    s->fd = blob_file_open(s->reg->blobs, &s->blob.digest, s->blob.r.instance, err);
    if (s->fd >= 0)
        return start_child(s, err);
    if (err->sys != ENOENT)
        return -1;
    rc = note_missing(s, told, err);
    return rc != 0 ? -1 : scrub_place_done(s->reg, &s->place, &s->blob.digest, false, err);
}

static int
look_for_blob(struct scrub *s, bool *told, struct err *err)
{
    uint64_t when, now = clock_wall_ms();
    int rc = scrub_place_next(s->reg, &s->place, s->round_ms, &s->blob, &when, err);

    if (rc == 1)
        rc = open_blob(s, told, err);
    else if (rc == 0)
        s->next_ms = clock_mono_ms() + (when - now);
    return rc;
}

static int
go_on_scrubbing(struct scrub *s, bool *told, struct err *err)
{
    char why[CONFINED_WHY_MAX];
    enum confined_end end;
    int rc = 0;

    if (clock_mono_ms() >= s->settle_ms) {
        s->settle_ms =
            clock_mono_ms() + (kv_is_remote(s->reg->kv) ? SETTLE_FAR_MS : SETTLE_EACH_MS);
        rc = damage_settle(s->reg, err);
    }
    if (rc != 0 || s->round_ms == 0)
        return rc;
    if (s->child.pid != 0) {
        if (confined_ended(&s->child, &end, why) != 1)
            return 0;
        rc = take_verdict(s, told, err);
    }
    while (rc == 0 && s->child.pid == 0 && clock_mono_ms() >= s->next_ms)
        rc = look_for_blob(s, told, err);
    return rc;
}

int
scrub_step(struct scrub *s, bool *told, struct err *err)
{
    int rc;

    *told = false;
    rc = go_on_scrubbing(s, told, err);
    if (rc != 0)
        s->next_ms = clock_mono_ms() + AGAIN_MS;
    if (s->round_ms != 0 && s->child.pid == 0)
        loop_timer_at(&s->due, s->next_ms);
    return rc;
}
