/* A request of a web server to a worker: FastCGI parameters and a body. The first byte of the input
 * chooses its form:
 *   P  NAME=VALUE lines, up to an empty line, and the body: put into records
 *   R  the bytes of the connection, as they are
 * A worker must survive either, and serve the next request. */
#include "fuzz.h"
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/worker/fcgi.h"
#include "util/buf.h"
#include "util/fdio.h"
#include "util/log.h"

static int
make_socket(struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    /* Without a name in the file system. */
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "fuzz_fcgi.%ld", (long)getpid());
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof *address) == 0);
    MUST(listen(fd, 8) == 0);
    return fd;
}

static void
put_record(struct buf *b, int type, const void *p, size_t n)
{
    const char head[8] = {1, (char)type, 0, 1, (char)(n >> 8), (char)n, 0, 0};

    buf_put(b, head, sizeof head);
    buf_put(b, p, n);
}

static void
put_stream(struct buf *b, int type, const uint8_t *p, size_t n)
{
    for (; n > 60000; p += 60000, n -= 60000)
        put_record(b, type, p, 60000);
    if (n > 0)
        put_record(b, type, p, n);
    put_record(b, type, "", 0);
}

static void
put_length(struct buf *b, size_t n)
{
    const char four[4] = {(char)(0x80 | n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};

    if (n < 128)
        buf_putc(b, (char)n);
    else
        buf_put(b, four, sizeof four);
}

static void
put_request(struct buf *b, const uint8_t *data, size_t n)
{
    static const char begin[8] = {0, 1, 0, 0, 0, 0, 0, 0};
    struct buf params;

    buf_init(&params, 1u << 20);
    put_record(b, 1, begin, sizeof begin);
    while (n > 0) {
        char *line = fuzz_line(&data, &n), *value = strchr(line, '=');
        size_t name_n = value != NULL ? (size_t)(value - line) : strlen(line);

        if (line[0] == '\0') {
            free(line);
            break;
        }
        value = value != NULL ? value + 1 : line + name_n;
        put_length(&params, name_n);
        put_length(&params, strlen(value));
        buf_put(&params, line, name_n);
        buf_puts(&params, value);
        free(line);
    }
    put_stream(b, 4, (const uint8_t *)params.p, params.n);
    put_stream(b, 5, data, n);
    buf_free(&params);
}

/* ---- the worker ---- */

static void
handle(const struct http_request *r, struct arena *arena, struct http_reply *reply, void *arg)
{
    (void)arena;
    (void)arg;
    MUST(r->raw_path != NULL && r->path != NULL && r->query != NULL && r->user != NULL);
    MUST(r->host != NULL && r->remote_addr != NULL && r->content_type != NULL);
    MUST(strchr(r->raw_path, '?') == NULL);
    MUST(r->role <= ROLE_UPLOAD);
    MUST(r->body_file[0] != '\0' || !r->has_length || r->body.n == r->content_length);
    MUST(r->body_file[0] == '\0' || r->body.n == 0);
    if (strcmp(r->raw_path, "/the-last-one") == 0)
        fcgi_stop();
    *reply = (struct http_reply){.status = 204};
}

static void
end_one(const struct fcgi_done *done, void *arg)
{
    (void)done;
    (void)arg;
}

static _Noreturn void
run_worker(int listener)
{
    struct err err;

    alarm(20);
    log_set_level(LOG_ERROR);
    if (getenv("FUZZ_VERBOSE") == NULL && freopen("/dev/null", "w", stderr) == NULL)
        _exit(3);
    _exit(fcgi_serve(listener, NULL, &fcgi_limits_default, handle, end_one, NULL, &err) == 0 ? 0
                                                                                             : 2);
}

/* ---- the web server ---- */

static void
say(const struct sockaddr_un *address, struct bytes b)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct err err;
    char ignored[4096];

    MUST(fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0);
    /* The worker may hang up in the middle of it. */
    (void)fdio_write_all(fd, b.p, b.n, "a connection", &err);
    shutdown(fd, SHUT_WR);
    while (read(fd, ignored, sizeof ignored) > 0)
        ;
    close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char last[] = "ROLE=main\nREQUEST_METHOD=GET\nREQUEST_URI=/the-last-one\n"
                               "DOCUMENT_URI=/the-last-one\n";
    struct sockaddr_un address;
    struct buf b;
    int listener, status = -1;
    pid_t pid;

    if (n == 0)
        return 0;
    signal(SIGPIPE, SIG_IGN);
    listener = make_socket(&address);
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        run_worker(listener);
    buf_init(&b, 4u << 20);
    if (data[0] == 'R')
        buf_put(&b, data + 1, n - 1);
    else
        put_request(&b, data + 1, n - 1);
    say(&address, buf_bytes(&b));
    buf_reset(&b);
    put_request(&b, (const uint8_t *)last, sizeof last - 1);
    if (waitpid(pid, &status, WNOHANG) == 0) {
        say(&address, buf_bytes(&b));
        waitpid(pid, &status, 0);
    }
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    buf_free(&b);
    close(listener);
    return 0;
}
