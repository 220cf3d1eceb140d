#include "domain/events/hook_last.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/fdio.h"
#include "util/utf8.h"

/* Bytes of a record: each byte of the output may take six of JSON. */
#define RECORD_BYTES_MAX ((size_t)64 << 10)

void
hook_last_line(struct hook_last_output *o, struct bytes line)
{
    size_t n = line.n < HOOK_LAST_OUTPUT - 1 ? line.n : HOOK_LAST_OUTPUT - 1;

    while (o->n + n + 1 > HOOK_LAST_OUTPUT) {
        const char *from = o->room + o->at, *end = memchr(from, '\n', o->n);
        size_t gone = end != NULL ? (size_t)(end - from) + 1 : o->n;

        o->at += gone;
        o->n -= gone;
    }
    if (o->at + o->n + n + 1 > sizeof o->room) {
        memmove(o->room, o->room + o->at, o->n);
        o->at = 0;
    }
    memcpy(o->room + o->at + o->n, line.p, n);
    o->n += n;
    o->room[o->at + o->n++] = '\n';
}

/* ---- writing ---- */

static void
set_hook_text(struct json *j, const char *name, const char *text, size_t n)
{
    char mended[HOOK_LAST_OUTPUT + 1];

    n = n < sizeof mended ? n : sizeof mended - 1;
    memcpy(mended, text, n);
    mended[n] = '\0';
    utf8_mend(mended);
    json_set_string(j, name, mended);
}

static void
set_hook_time(struct json *j, const char *name, uint64_t ms)
{
    char text[CLOCK_RFC3339_MAX];

    clock_rfc3339(text, ms);
    json_set_string(j, name, text);
}

static void
set_hook_end(struct json *j, const struct hook_last *h)
{
    bool exited = h->has_status && WIFEXITED(h->status);
    bool killed = h->has_status && WIFSIGNALED(h->status);

    if (exited)
        json_set_u64(j, "exit_code", (uint64_t)WEXITSTATUS(h->status));
    else
        json_set(j, "exit_code", NULL);
    if (killed)
        json_set_u64(j, "signal", (uint64_t)WTERMSIG(h->status));
    else
        json_set(j, "signal", NULL);
    set_hook_text(j, "why", h->why, strlen(h->why));
}

/* A name of its own for each process: workers write the records of pre-hooks at the same time. */
static void
put_hook_record(int dirfd, const char *name, struct bytes content)
{
    char temp[64];
    struct err ignored;
    int fd, rc;

    snprintf(temp, sizeof temp, "%s.%ld.new", name, (long)getpid());
    if (unlinkat(dirfd, temp, 0) != 0 && errno != ENOENT)
        return;
    fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    rc = fdio_write_all(fd, content.p, content.n, temp, &ignored);
    fdio_close(fd);
    if (rc != 0 || renameat(dirfd, temp, dirfd, name) != 0)
        unlinkat(dirfd, temp, 0);
}

static void
name_hook_record(char out[32], enum hook which)
{
    snprintf(out, 32, "run/hook-%s", hook_name(which));
}

void
hook_last_save(int dirfd, const struct hook_last *h)
{
    struct json *j = json_new_object();
    char name[32];
    struct buf text;

    set_hook_time(j, "began", h->began_ms);
    set_hook_time(j, "ended", clock_wall_ms());
    set_hook_text(j, "repository", h->event->repository, strlen(h->event->repository));
    set_hook_text(j, "tag", h->event->tag, strlen(h->event->tag));
    set_hook_end(j, h);
    set_hook_text(j, "output", h->output->room + h->output->at, h->output->n);
    buf_init(&text, RECORD_BYTES_MAX);
    json_put(j, &text);
    name_hook_record(name, h->which);
    if (buf_ok(&text))
        put_hook_record(dirfd, name, buf_bytes(&text));
    buf_free(&text);
}

/* ---- reading ---- */

bool
hook_last_read(int dirfd, enum hook which, struct json **out)
{
    struct err damaged;
    struct buf text;
    char name[32];
    bool good;

    name_hook_record(name, which);
    buf_init(&text, RECORD_BYTES_MAX);
    good = fdio_read_file(dirfd, name, &text, &damaged) == 1 &&
           json_parse_within(buf_bytes(&text), 2, 20, out, &damaged) == 0;
    if (good && json_type(*out) != JSON_OBJECT) {
        json_free(*out);
        good = false;
    }
    buf_free(&text);
    return good;
}
