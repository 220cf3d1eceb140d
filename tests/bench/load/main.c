/* The client of tests/bench/run: many connections that are kept, in one thread, and every answer is
 * checked. It ends with status 1 at the first answer that isn't as it should be.
 *
 *   load requests [options] URL      one request again and again
 *     -m METHOD -H HEADER… -f FILE (the body that is sent)
 *     -x STATUS (200) -b FILE (the body that is wanted)
 *     -p FILE: the paths, one a line, in turn, each once; or a %d in URL stands for 0, 1, 2, …
 *   load images [options] URL REPOSITORY
 *     new images, pushed as docker does it: HEAD, POST, PATCH in chunks and PUT of each blob, PUT
 * of the manifest. Connection i pushes to REPOSITORY-i, unless there is a -1: then to REPOSITORY.
 *     -l LAYERS (3) -z BYTES (4096: each a tar of one file that nobody can compress)
 *     -S SEED: other images for another seed  -t TAGS (1) of each image
 *     -a: the images of an earlier run of -n are there already, and are pushed again in turn
 *     -d FILE: where the paths of the manifests are written to, by their digests
 *   load slow [options] URL REPOSITORY
 *     uploads that get a KiB a second, until standard input ends. Prints "ready" when all have
 * begun.
 *
 *   load delay SOCKET TARGET MILLISECONDS
 *     no client: listens at SOCKET, and passes on to the socket TARGET what comes, so much later.
 *
 *   -c CONNECTIONS (1) -s SECONDS, or -n COUNT for all connections together. With -s each
 * connection makes a first request that isn't counted, so that its handshake isn't, either.
 *
 * Prints, in lines of a name and a number: done, seconds, p50, p99, max (milliseconds; of an image:
 * of all its requests), requests, bytes (of bodies that came). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "load.h"

static const struct kind kinds[] = {
    {"requests", requests_begin, requests_got},
    {"images", image_begin, image_got},
    {"slow", slow_begin, slow_got},
};

struct options opt = {
    .method = "GET", .status = 200, .connections = 1, .layers = 3, .layer_size = 4096, .tags = 1};

static const struct kind *kind;
static struct client *clients;
static int poller;
static double begin_time, end_time;
static long units_begun, units_done, units_wanted = -1, requests;
enum { WARMING_AT_ONCE = 16 };
/* Connections that were opened for a first request, which isn't counted, and those that have done
 * it. A few at once: a server hangs up on clients that wait too long for the end of their
 * handshakes. */
static int warm_begun, warm_done = -1; /* -1: requests are counted */
static uint64_t bytes_got;
static uint32_t *latencies;
static size_t latencies_cap;

static void
client_begin(struct client *c)
{
    c->busy = false;
    c->unit = units_begun;
    /* So that -a finds each image in the repository of its connection. */
    if (kind->begin == image_begin)
        c->unit = c->number + opt.connections * c->made;
    if (opt.again)
        c->unit %= opt.count;
    else if (units_wanted >= 0 && c->unit >= units_wanted)
        return;
    if (units_wanted < 0 && now() >= end_time)
        return;
    units_begun++;
    c->made++;
    c->begun = now();
    if (kind->begin(c))
        client_write(c);
}

static void
measurement_begin(void)
{
    warm_done = -1;
    requests = units_begun = 0;
    bytes_got = 0;
    begin_time = now();
    end_time = begin_time + opt.seconds;
    for (int i = 0; i < opt.connections; i++)
        client_begin(&clients[i]);
}

static void
warm_next(void)
{
    if (warm_begun == opt.connections)
        return;
    client_connect(&clients[warm_begun]);
    client_begin(&clients[warm_begun++]);
}

/* The end of a unit, and the beginning of the next one. */
static void
client_end(struct client *c)
{
    c->busy = false;
    if (warm_done >= 0) {
        if (++warm_done == opt.connections)
            measurement_begin();
        else
            warm_next();
        return;
    }
    if ((size_t)units_done == latencies_cap) {
        latencies_cap = latencies_cap ? latencies_cap * 2 : 65536;
        latencies = realloc(latencies, latencies_cap * sizeof(*latencies));
        if (latencies == NULL)
            fail("no memory");
    }
    latencies[units_done++] = (uint32_t)((now() - c->begun) * 1e6);
    client_begin(c);
}

static void
client_read(struct client *c)
{
    struct reply reply;
    bool more;
    long n;

    for (;;) {
        text_room(&c->in, 65537);
        n = client_io(c, false, c->in.at + c->in.len, 65536);
        if (n < 0 && c->busy)
            fail("the connection was closed before the reply to %.*s",
                 (int)(c->out.len < 100 ? c->out.len : 100), c->out.at);
        if (n < 0) {
            client_close(c);
            client_connect(c);
        }
        if (n <= 0)
            return;
        c->in.len += (size_t)n;
        c->in.at[c->in.len] = '\0';
        if (!c->busy || !reply_read(c, &reply))
            continue;
        requests++;
        bytes_got += reply.body_len;
        if (reply.used != c->in.len)
            fail("bytes after the reply");
        more = kind->got(c, &reply);
        c->in.len = 0;
        if (reply.closes) {
            client_close(c);
            client_connect(c);
        }
        if (more)
            client_write(c);
        else
            client_end(c);
        return;
    }
}

static bool
stdin_ended(void)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    char piece[64];

    return poll(&in, 1, 0) > 0 && read(0, piece, sizeof(piece)) <= 0;
}

static void
loop(void)
{
    struct epoll_event events[256];
    double fed = now(), quiet = now();
    bool told = false, ended = false;
    int n, busy;

    do {
        n = epoll_wait(poller, events, 256, 100);
        if (n < 0 && errno != EINTR)
            fail("epoll: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;

            if (c->busy && c->sent < c->out.len)
                client_write(c);
            client_read(c);
            /* The bytes that came may have been the end of a handshake. */
            if (c->busy && c->sent < c->out.len)
                client_write(c);
        }
        if (n > 0)
            quiet = now();
        else if (now() - quiet > 60 && kind->begin != slow_begin)
            fail("no answer for 60 seconds");
        if (kind->begin == slow_begin && !ended) {
            if (!told && slow_ready == opt.connections) {
                told = true;
                puts("ready");
                fflush(stdout);
            }
            ended = told && stdin_ended();
            if (ended || now() - fed > 1) {
                slow_feed(clients, ended);
                fed = now();
            }
        }
        busy = 0;
        for (int i = 0; i < opt.connections && !busy; i++)
            busy = clients[i].busy;
    } while (busy);
}

static int
latency_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void
report(double seconds)
{
    static const struct {
        const char *name;
        int percent;
    } marks[] = {{"p50", 50}, {"p99", 99}, {"max", 100}};

    printf("done %ld\nseconds %.6f\nrequests %ld\nbytes %llu\n", units_done, seconds, requests,
           (unsigned long long)bytes_got);
    if (units_done == 0)
        fail("nothing was done");
    qsort(latencies, (size_t)units_done, sizeof(*latencies), latency_order);
    for (int i = 0; i < 3; i++)
        printf("%s %.3f\n", marks[i].name,
               latencies[(units_done - 1) * marks[i].percent / 100] / 1e3);
}

static void
url_take(char *url)
{
    char *colon, *slash;

    opt.tls = strncmp(url, "https://", 8) == 0;
    if (!opt.tls && strncmp(url, "http://", 7) != 0)
        fail("%s: no URL", url);
    opt.host = url += opt.tls ? 8 : 7;
    colon = strchr(url, ':');
    if (colon == NULL)
        fail("a URL has a port");
    opt.port = atoi(colon + 1);
    slash = strchr(colon, '/');
    opt.path = slash == NULL ? "/" : slash;
    *colon = '\0';
}

static void
header_add(const char *line)
{
    struct text all = {0};

    text_addf(&all, "%s%s\r\n", opt.headers == NULL ? "" : opt.headers, line);
    free(opt.headers);
    opt.headers = all.at;
}

static void
paths_take(const char *name)
{
    long n = 0;

    text_from_file(&opt.paths, name);
    for (char *at = opt.paths.at; at != NULL && *at != '\0'; n++) {
        opt.path_list = realloc(opt.path_list, (size_t)(n + 1) * sizeof(*opt.path_list));
        opt.path_list[n] = at;
        at = strchr(at, '\n');
        if (at != NULL)
            *at++ = '\0';
    }
    opt.count = n;
}

static FILE *
file_open(const char *name)
{
    FILE *file = fopen(name, "w");

    if (file == NULL)
        fail("%s: %s", name, strerror(errno));
    return file;
}

static void
options(int argc, char **argv)
{
    int option;

    for (size_t i = 0; argc > 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(argv[1], kinds[i].name) == 0)
            kind = &kinds[i];
    if (kind == NULL)
        fail("requests, images or slow");
    optind = 2;
    while ((option = getopt(argc, argv, "m:H:f:x:b:p:l:z:S:t:ad:c:s:n:")) != -1)
        switch (option) {
        case 'm':
            opt.method = optarg;
            break;
        case 'H':
            header_add(optarg);
            break;
        case 'f':
            text_from_file(&opt.body, optarg);
            break;
        case 'x':
            opt.status = atoi(optarg);
            break;
        case 'b':
            text_from_file(&opt.wanted, optarg);
            opt.has_wanted = true;
            break;
        case 'p':
            paths_take(optarg);
            break;
        case 'l':
            opt.layers = atoi(optarg);
            break;
        case 'z':
            opt.layer_size = atoi(optarg);
            break;
        case 'S':
            opt.seed = strtoul(optarg, NULL, 10);
            break;
        case 't':
            opt.tags = atoi(optarg);
            break;
        case 'a':
            opt.again = true;
            break;
        case 'd':
            opt.digests = file_open(optarg);
            break;
        case 'c':
            opt.connections = atoi(optarg);
            break;
        case 's':
            opt.seconds = atof(optarg);
            break;
        case 'n':
            opt.count = atol(optarg);
            break;
        default:
            exit(1);
        }
    if (optind + (kind == kinds ? 1 : 2) != argc)
        fail("a URL is wanted, and for images a repository");
    url_take(argv[optind]);
    opt.repository = argv[optind + 1];
    if (opt.layers < 1 || opt.layers > LAYERS_MAX || opt.layer_size < 2048 || opt.connections < 1 ||
        opt.tags < 1 || opt.tags > 26)
        fail("a number is too small or too large");
    if (opt.again && (opt.count == 0 || opt.count % opt.connections != 0))
        fail("-a wants a -n that is a multiple of -c");
    units_wanted = kind->begin == slow_begin ? opt.connections : opt.seconds > 0 ? -1 : opt.count;
}

int
main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    if (argc == 5 && strcmp(argv[1], "delay") == 0)
        delay_serve(argv[2], argv[3], atof(argv[4]) / 1000);
    options(argc, argv);
    clients = calloc((size_t)opt.connections, sizeof(*clients));
    if (clients == NULL)
        fail("no memory");
    poller = connections_prepare();
    for (int i = 0; i < opt.connections; i++)
        clients[i].number = i;
    begin_time = now();
    end_time = begin_time + 3600;
    if (kind == kinds && units_wanted < 0) {
        warm_done = 0;
        for (int i = 0; i < WARMING_AT_ONCE; i++)
            warm_next();
    } else {
        for (int i = 0; i < opt.connections; i++)
            client_connect(&clients[i]);
        measurement_begin();
    }
    loop();
    report(now() - begin_time);
    if (opt.digests != NULL && fclose(opt.digests) != 0)
        fail("the digests were not written: %s", strerror(errno));
    return 0;
}
