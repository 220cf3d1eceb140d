#include "fcgi_fixture.h"
#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[64];
static struct sockaddr_un address = {.sun_family = AF_UNIX};

int
fcgi_listen(void)
{
    int listener;

    snprintf(dir, sizeof dir, "/tmp/test_fcgi.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", dir);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 16), 0);
    return listener;
}

void
fcgi_close(int listener)
{
    close(listener);
    unlink(address.sun_path);
    rmdir(dir);
}

static void
record(int fd, int type, const char *content, size_t n)
{
    uint8_t head[8] = {1, (uint8_t)type, 0, 1, (uint8_t)(n >> 8), (uint8_t)n, 0, 0};

    assert_int_equal(write(fd, head, sizeof head), sizeof head);
    if (n > 0)
        assert_int_equal(write(fd, content, n), n);
}

static void
param(struct buf *b, const char *name, const char *value)
{
    buf_putc(b, (char)strlen(name));
    buf_putc(b, (char)strlen(value));
    buf_puts(b, name);
    buf_puts(b, value);
}

void
fcgi_say(int fd, const struct saying *w)
{
    const char begin[8] = {0, 1, (char)w->keep, 0, 0, 0, 0, 0};
    struct buf b;

    buf_init(&b, 4096);
    param(&b, "ROLE", "main");
    param(&b, "REQUEST_METHOD", w->method);
    param(&b, "REQUEST_URI", w->path);
    param(&b, "DOCUMENT_URI", w->path);
    if (w->user != NULL)
        param(&b, "REMOTE_USER", w->user);
    if (w->length != NULL)
        param(&b, "CONTENT_LENGTH", w->length);
    record(fd, 1, begin, sizeof begin);
    record(fd, 4, b.p, b.n);
    record(fd, 4, "", 0);
    if (w->body != NULL)
        record(fd, 5, w->body, strlen(w->body));
    record(fd, 5, "", 0);
    buf_free(&b);
}

int
fcgi_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

int
fcgi_ask(const char *method, const char *path)
{
    int fd = fcgi_connect();

    fcgi_say(fd, &(struct saying){.method = method, .path = path});
    return fd;
}

bool
fcgi_take(int fd, void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        ssize_t got;

        assert_int_equal(poll(&waiting, 1, FCGI_LIMIT_MS), 1);
        got = read(fd, (char *)p + at, n - at);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

struct answer
fcgi_hear_one(int fd)
{
    struct answer a = {.ended = false};
    uint8_t head[8];

    buf_init(&a.out, FCGI_ANSWER_MAX);
    while (!a.ended && fcgi_take(fd, head, sizeof head)) {
        size_t n = (size_t)head[4] << 8 | head[5], padding = head[6];
        char content[65536 + 256];

        if (!fcgi_take(fd, content, n + padding))
            break;
        if (head[1] == 6)
            buf_put(&a.out, content, n);
        a.ended = head[1] == 3;
    }
    buf_putc(&a.out, '\0');
    assert_true(buf_ok(&a.out));
    return a;
}

static bool
is_closed(int fd)
{
    char more;

    return !fcgi_take(fd, &more, 1);
}

struct answer
fcgi_hear(int fd)
{
    struct answer a = fcgi_hear_one(fd);

    assert_true(is_closed(fd));
    close(fd);
    return a;
}

const char *
fcgi_body(const struct answer *a, size_t *n)
{
    const char *body = strstr(a->out.p, "\r\n\r\n");

    assert_non_null(body);
    *n = a->out.n - 1 - (size_t)(body + 4 - a->out.p);
    return body + 4;
}
