#include "storage/s3/s3_exchange.h"

#ifdef HAVE_CURL

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "storage/s3/s3_library.h"
#include "storage/s3/s3_xml.h"
#include "util/clock.h"
#include "util/fdio.h"

#define TRIES 3
#define PAUSE_MS 200
/* An answer that isn't an object: mostly an error. */
#define ANSWER_MAX (256u << 10)
#define LINES_MAX 8192
/* All lines in front of an answer, and of those that announce it. */
#define HEADERS_MAX (64u << 10)
#define BUFFER_BYTES (512L * 1024)
#define REST_MS 5000

struct patience {
    long connect_ms, slow_s, whole_ms; /* whole_ms 0: no limit */
    uint64_t tries_ms;
};
#define SLOW_BYTES 1024L

static const struct patience patient = {5000, 20, 0, 30000};
static const struct patience hurried = {2000, 2, 5000, 1000};

/* A request on its way. */
struct attempt {
    struct s3_exchange *x;
    char path[2 * S3_PATH_MAX];
    const char *what; /* for people, who need not know where the objects are */
    uint64_t sent;
    bool unread; /* the file can't be read */
    struct digest_state *sending, *receiving;
    int write_error;
    size_t header_bytes;
    struct buf answer; /* of an error */
    CURLcode code;
};

int
s3_exchange_load(struct err *err)
{
    return s3_library_load(err);
}

/* ---- the connection of this process ---- */

static CURL *
take_s3_connection(struct err *err)
{
    static CURL *connection;
    static pid_t owner;

    if (owner != getpid()) { /* a child must not speak on its parent's */
        connection = NULL;
        owner = getpid();
        if (s3_library_load(err) != 0)
            return NULL;
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
            err_set(err, ERR_SYSTEM, "cannot begin to use libcurl");
            return NULL;
        }
    }
    if (connection == NULL)
        connection = curl_easy_init();
    if (connection == NULL)
        err_set(err, ERR_SYSTEM, "cannot begin a connection to S3");
    else
        curl_easy_reset(connection);
    return connection;
}

/* ---- what curl calls ---- */

static size_t
give_body(char *p, size_t size, size_t n, void *arg)
{
    struct attempt *a = arg;
    const struct s3_exchange *x = a->x;
    uint64_t left = x->n - a->sent, room = size * n;
    ssize_t got;

    if (room > left)
        room = left;
    if (x->from < 0) {
        if (room > 0)
            memcpy(p, (const char *)x->content.p + a->sent, room);
        got = (ssize_t)room;
    } else {
        got = fdio_read_at(x->from, p, room, x->from_at + a->sent);
    }
    if (got < 0 || (uint64_t)got < room) {
        a->unread = true;
        return CURL_READFUNC_ABORT;
    }
    digest_update(a->sending, p, (size_t)got);
    a->sent += (uint64_t)got;
    return (size_t)got;
}

static int
rewind_body(void *arg, curl_off_t offset, int origin)
{
    struct attempt *a = arg;

    if (origin != SEEK_SET || offset != 0)
        return CURL_SEEKFUNC_FAIL;
    digest_end(a->sending, NULL);
    a->sending = digest_begin(DIGEST_SHA256);
    a->sent = 0;
    return CURL_SEEKFUNC_OK;
}

static size_t
take_object(struct attempt *a, const char *p, size_t n)
{
    struct s3_exchange *x = a->x;
    struct err ignored;

    if (x->to >= 0 && n > x->most - x->received) {
        a->write_error = ENOSPC;
        return 0;
    }
    if (x->to >= 0 &&
        fdio_write_at(x->to, p, n, x->received, "the cache of blobs", &ignored) != 0) {
        a->write_error = errno;
        return 0;
    }
    if (x->object != NULL)
        buf_put(x->object, p, n);
    if (x->got != NULL)
        digest_update(a->receiving, p, n);
    x->received += n;
    return x->object == NULL || buf_ok(x->object) ? n : 0;
}

/* An error's answer isn't the object. */
static size_t
take_answer(char *p, size_t size, size_t n, void *arg)
{
    struct attempt *a = arg;

    n *= size;
    if (a->x->status == 200)
        return take_object(a, p, n);
    buf_put(&a->answer, p, n);
    return buf_ok(&a->answer) ? n : 0;
}

static size_t
take_header(char *p, size_t size, size_t n, void *arg)
{
    struct attempt *a = arg;
    struct s3_exchange *x = a->x;
    char line[S3_ETAG_MAX + 8];

    n *= size;
    a->header_bytes += n;
    if (a->header_bytes > HEADERS_MAX)
        return 0;
    snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1), p);
    line[strcspn(line, "\r\n")] = '\0';
    if (strncmp(line, "HTTP/", 5) == 0) {
        const char *blank = strchr(line, ' ');

        x->status = blank != NULL ? strtol(blank, NULL, 10) : 0;
    } else if (strncasecmp(line, "Date:", 5) == 0) {
        x->date_s = curl_getdate(line + 5, NULL);
    } else if (strncasecmp(line, "Last-Modified:", 14) == 0) {
        x->modified_s = curl_getdate(line + 14, NULL);
    } else if (strncasecmp(line, "ETag:", 5) == 0) {
        snprintf(x->etag, sizeof x->etag, "%s", line + 5 + strspn(line + 5, " "));
    }
    return n;
}

/* ---- one try ---- */

static struct curl_slist *
make_headers(struct s3_exchange *x, struct err *err)
{
    struct curl_slist *list = NULL;
    struct buf lines;

    buf_init(&lines, LINES_MAX);
    if (s3_sign_headers(x->b, &x->r, &lines, err) == 0) {
        for (size_t at = 0; at < lines.n; at += strlen(lines.p + at) + 1)
            list = curl_slist_append(list, lines.p + at);
        list = curl_slist_append(list, "Expect:");
        list = curl_slist_append(list, "Content-Type:");
    }
    buf_free(&lines);
    return list;
}

static void
set_times(CURL *c, const struct s3_exchange *x)
{
    const struct patience *p = x->b->hurried ? &hurried : &patient;

    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, p->connect_ms);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, p->whole_ms);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, p->slow_s);
    if (x->rate > 0)
        curl_easy_setopt(c, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)x->rate);
}

static void
set_transfer(CURL *c, struct attempt *a, const char *url, struct curl_slist *headers)
{
    const struct s3_exchange *x = a->x;

    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
    set_times(c, x);
    if (x->has_body) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->n);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(c, CURLOPT_READDATA, a);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, rewind_body);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, a);
    }
    if (strcmp(x->r.method, "HEAD") == 0)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, x->r.method);
}

static int
begin_try(struct attempt *a, struct err *err)
{
    struct s3_exchange *x = a->x;

    x->r.time_s = clock_wall_ms() / 1000;
    x->status = 0;
    x->received = 0;
    x->length = -1;
    x->etag[0] = '\0';
    a->sent = 0;
    a->header_bytes = 0;
    buf_reset(&a->answer);
    if (x->object != NULL)
        buf_reset(x->object);
    if (x->to >= 0 && ftruncate(x->to, 0) != 0)
        return err_errno(err, "cannot empty a file in the cache of blobs");
    return 0;
}

static int
try_once(struct attempt *a, struct err *err)
{
    struct s3_exchange *x = a->x;
    CURL *c = take_s3_connection(err);
    struct curl_slist *headers;
    struct buf url;
    curl_off_t length = -1;

    if (c == NULL || begin_try(a, err) != 0)
        return -1;
    headers = make_headers(x, err);
    if (headers == NULL)
        return -1;
    buf_init(&url, LINES_MAX);
    buf_putf(&url, "%s://%s%s%s%s", x->b->tls ? "https" : "http", x->b->host, a->path,
             *x->r.query != '\0' ? "?" : "", x->r.query);
    set_transfer(c, a, buf_text(&url), headers);
    if (x->got != NULL)
        a->receiving = digest_begin(x->got->algo);
    if (x->has_body)
        a->sending = digest_begin(DIGEST_SHA256);
    a->code = curl_easy_perform(c);
    if (x->has_body)
        digest_end(a->sending, &x->sum);
    if (x->got != NULL)
        digest_end(a->receiving, x->got);
    curl_easy_getinfo(c, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    x->length = length;
    curl_slist_free_all(headers);
    buf_free(&url);
    return 0;
}

/* ---- tries ---- */

/* The error that S3 tells; with some requests it comes behind a status of 200. */
static struct bytes
error_code(const struct attempt *a)
{
    const struct s3_exchange *x = a->x;
    struct bytes document = buf_bytes(&a->answer);

    if (x->status == 200 && x->root != NULL)
        document = s3_xml_text(buf_bytes(x->object), "Error");
    return s3_xml_text(document, "Code");
}

/* S3 says 200 before it knows, and then sends the document, or that of an error, or breaks off. */
static bool
is_cut_off(const struct attempt *a)
{
    const struct s3_exchange *x = a->x;

    return x->status == 200 && x->root != NULL && !s3_xml_ends_with(buf_bytes(x->object), x->root);
}

static bool
may_pass(const struct attempt *a)
{
    const struct s3_exchange *x = a->x;

    if (a->unread || a->write_error != 0)
        return false;
    return a->code != CURLE_OK || x->status == 429 || x->status >= 500 || is_cut_off(a) ||
           (x->status == 400 && s3_xml_is(buf_bytes(&a->answer), "Code", "RequestTimeout"));
}

/* Not the bucket, or nobody knows what. */
static bool
has_no_object(const struct attempt *a)
{
    struct bytes code = error_code(a);

    return a->code == CURLE_OK && a->x->status == 404 &&
           (code.n == 0 || s3_xml_is(buf_bytes(&a->answer), "Code", "NoSuchKey") ||
            s3_xml_is(buf_bytes(&a->answer), "Code", "NoSuchUpload"));
}

static int
tell_failure(const struct attempt *a, struct err *err)
{
    const struct s3_exchange *x = a->x;
    struct bytes code = error_code(a);

    if (a->write_error != 0) {
        errno = a->write_error;
        return err_errno(err, "cannot write to the cache of blobs");
    }
    if (a->unread)
        return err_set(err, ERR_FAULT, "cannot read the file of a blob");
    if (a->code != CURLE_OK)
        return err_set(err, ERR_BUSY, "S3, %s of %.100s: %s", x->r.method, a->what,
                       a->header_bytes > HEADERS_MAX ? "too many headers"
                                                     : curl_easy_strerror(a->code));
    if (is_cut_off(a) && code.n == 0)
        return err_set(err, ERR_BUSY, "S3, %s of %.100s: the answer is no %s", x->r.method, a->what,
                       x->root);
    if (s3_xml_is(buf_bytes(&a->answer), "Code", "NoSuchBucket"))
        return err_set(err, ERR_FAULT, "S3 has no bucket %s (NoSuchBucket): make it first",
                       x->b->bucket);
    return err_set(err, may_pass(a) ? ERR_BUSY : ERR_FAULT, "S3, %s of %.100s: status %ld %.*s",
                   x->r.method, a->what, x->status, (int)(code.n < 60 ? code.n : 60),
                   code.n > 0 ? (const char *)code.p : "");
}

static int
try_repeatedly(struct attempt *a, struct err *err)
{
    const struct patience *p = a->x->b->hurried ? &hurried : &patient;
    uint64_t began = clock_mono_ms();

    for (int i = 0;; i++) {
        if (try_once(a, err) != 0)
            return -1;
        if (!may_pass(a) || i + 1 == TRIES || clock_mono_ms() - began > p->tries_ms)
            return 0;
        clock_sleep_ms((uint64_t)PAUSE_MS << (2 * i));
    }
}

int
s3_exchange_run(struct s3_exchange *x, const char *key, struct err *err)
{
    struct attempt a = {.x = x, .what = key != NULL ? key : "the bucket"};
    int rc;

    if (x->b->hurried && clock_mono_ms() < x->b->rest_until)
        return err_set(err, ERR_BUSY, "S3 didn't answer a moment ago");
    s3_bucket_look_at_keys(x->b);
    if (key != NULL)
        snprintf(a.path, sizeof a.path, "%s%s", x->b->path, key);
    else
        snprintf(a.path, sizeof a.path, "/%s", x->b->bucket);
    x->r.path = a.path;
    if (x->r.query == NULL)
        x->r.query = "";
    if (x->r.sha256 == NULL)
        x->r.sha256 = S3_EMPTY_SHA256;
    buf_init(&a.answer, ANSWER_MAX);
    rc = try_repeatedly(&a, err);
    if (rc == 0 && may_pass(&a) && x->b->hurried)
        x->b->rest_until = clock_mono_ms() + REST_MS;
    if (rc == 0)
        rc = a.code == CURLE_OK && x->status / 100 == 2 && !may_pass(&a) ? 1
             : has_no_object(&a)                                         ? 0
                                                                         : tell_failure(&a, err);
    buf_free(&a.answer);
    return rc;
}

#else

int
s3_exchange_load(struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED,
                   "--blobs s3://...: this program was built without libcurl (Debian: "
                   "libcurl4-openssl-dev)");
}

int
s3_exchange_run(struct s3_exchange *x, const char *key, struct err *err)
{
    (void)x;
    (void)key;
    return s3_exchange_load(err);
}

#endif
