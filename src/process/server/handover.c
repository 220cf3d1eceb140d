#include "process/server/handover.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/parse.h"

#define VARIABLE "DOCKER_REGISTRY_SERVER_HANDOVER"
#define FORMAT "docker-registry-server handover 1"
/* The lines of users are the largest part. */
#define TEXT_MAX (80u << 20)
#define NOTHING UINT32_MAX

/* A record: name NUL, descriptor (4 bytes), length of the note (4 bytes), note, NUL. */
struct record {
    const char *name;
    uint32_t fd;
    struct bytes note;
};

static void
put_handed(struct handover *h, const char *name, uint32_t fd, struct bytes note)
{
    uint32_t numbers[2] = {fd, (uint32_t)note.n};

    buf_put(&h->text, name, strlen(name) + 1);
    buf_put(&h->text, numbers, sizeof numbers);
    buf_put(&h->text, note.p, note.n);
    buf_putc(&h->text, '\0');
}

/* False: there are no more. */
static bool
next_handed(const struct handover *h, size_t *at, struct record *r)
{
    const char *p = buf_text(&h->text);
    uint32_t numbers[2];
    size_t left = h->text.n - *at, n = strnlen(p + *at, left);

    if (left - n < 1 + sizeof numbers + 1)
        return false;
    r->name = p + *at;
    memcpy(numbers, p + *at + n + 1, sizeof numbers);
    if (numbers[1] > left - n - 2 - sizeof numbers)
        return false;
    r->fd = numbers[0];
    r->note = bytes_of(p + *at + n + 1 + sizeof numbers, numbers[1]);
    *at += n + 1 + sizeof numbers + numbers[1] + 1;
    return true;
}

/* ---- the giving side ---- */

void
handover_begin(struct handover *h)
{
    char pid[24];

    buf_init(&h->text, TEXT_MAX);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    handover_put_text(h, FORMAT, bytes_str(pid));
}

void
handover_free(struct handover *h)
{
    if (h->text.p != NULL)
        explicit_bzero(h->text.p, h->text.n);
    buf_free(&h->text);
}

void
handover_put(struct handover *h, const char *name, int fd, const char *note)
{
    if (fd >= 0)
        put_handed(h, name, (uint32_t)fd, bytes_str(note));
}

void
handover_put_text(struct handover *h, const char *name, struct bytes note)
{
    put_handed(h, name, NOTHING, note);
}

/* on: the descriptors of all records stay open in a program that is executed. */
static int
mark_descriptors(const struct handover *h, bool on)
{
    struct record r;

    for (size_t at = 0; next_handed(h, &at, &r);)
        if (r.fd != NOTHING && fcntl((int)r.fd, F_SETFD, on ? 0 : FD_CLOEXEC) < 0)
            return -1;
    return 0;
}

int
handover_exec(struct handover *h, int program, char **argv, struct err *err)
{
    int fd = memfd_create("handover", MFD_CLOEXEC);
    char number[24];
    int rc = -1;

    if (fd < 0 || !buf_ok(&h->text))
        err_errno(err, "cannot write down what is handed over");
    else
        rc = fdio_write_all(fd, h->text.p, h->text.n, "what is handed over", err);
    if (rc == 0) {
        snprintf(number, sizeof number, "%d", fd);
        close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
        if (mark_descriptors(h, true) == 0 && fcntl(fd, F_SETFD, 0) == 0 &&
            setenv(VARIABLE, number, 1) == 0)
            fexecve(program, argv, environ);
        rc = err_errno(err, "cannot execute the program");
        mark_descriptors(h, false);
        unsetenv(VARIABLE);
    }
    fdio_close(fd);
    return rc;
}

/* ---- the taking side ---- */

static int
read_handover(struct handover *h, int fd, struct err *err)
{
    struct stat st;
    struct record first;
    size_t at = 0;
    char pid[24];

    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    if (fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) < 0 ||
        fdio_read_all(fd, "what was handed over", &h->text, err) < 0)
        return err_set(err, ERR_SYSTEM, "what the server before has handed over can't be read");
    if (!next_handed(h, &at, &first) || strcmp(first.name, FORMAT) != 0 ||
        !bytes_equal(first.note, bytes_str(pid)))
        return err_set(err, ERR_UNSUPPORTED, "the server before has another version: start anew");
    return 1;
}

int
handover_take(struct handover *h, struct err *err)
{
    const char *text = getenv(VARIABLE);
    uint64_t fd;
    int rc;

    buf_init(&h->text, TEXT_MAX);
    if (text == NULL)
        return 0;
    rc = parse_u64(text, strlen(text), &fd) && fd <= INT32_MAX ? 1 : 0;
    unsetenv(VARIABLE);
    close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    if (rc == 1) {
        rc = read_handover(h, (int)fd, err);
        close((int)fd);
    }
    return rc;
}

static bool
find_handed(const struct handover *h, const char *name, bool text, size_t i, struct record *r)
{
    for (size_t at = 0; next_handed(h, &at, r);)
        if (strcmp(r->name, name) == 0 && (r->fd == NOTHING) == text && i-- == 0)
            return true;
    return false;
}

int
handover_get(const struct handover *h, const char *name, size_t i, struct bytes *note)
{
    struct record r;

    if (!find_handed(h, name, false, i, &r))
        return -1;
    *note = r.note;
    return (int)r.fd;
}

bool
handover_get_text(const struct handover *h, const char *name, size_t i, struct bytes *note)
{
    struct record r;

    if (!find_handed(h, name, true, i, &r))
        return false;
    *note = r.note;
    return true;
}
