#include "util/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/syslog_socket.h"
#include "util/utf8_length.h"
#include "util/utf8_plain.h"

#define LINE_SIZE 2000
/* Leaves room for the end of a line that is cut: a quote, the newline, and the brace of JSON. */
#define LINE_ROOM (LINE_SIZE - (log_as_json ? 3 : 2))

struct line {
    char p[LINE_SIZE];
    size_t n;
    bool full;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const int level_severities[] = {3, 4, 6, 7}; /* as in syslog(3) */
static enum log_level most_verbose = LOG_INFO;
static bool log_as_json;
static const char *log_syslog; /* NULL: stderr */
static char log_request[LOG_REQUEST_MAX];

bool
log_level_parse(const char *s, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(s, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void
log_set_level(enum log_level level)
{
    most_verbose = level;
}

void
log_set_json(bool json)
{
    log_as_json = json;
}

void
log_set_syslog(const char *socket)
{
    log_syslog = socket;
}

void
log_set_request(const char *id)
{
    snprintf(log_request, sizeof log_request, "%s", id);
}

/* Adds all n bytes or none, so that no escape is cut. The line is full once something didn't fit.
 */
static void
put_line(struct line *l, const char *s, size_t n)
{
    if (l->full || n > LINE_ROOM - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->p + l->n, s, n);
    l->n += n;
}

/* Adds as much of the text as fits. */
static void
put_line_text(struct line *l, const char *s)
{
    for (; *s != '\0' && !l->full; s++)
        put_line(l, s, 1);
}

static void
put_quoted(struct line *l, const char *s, size_t n)
{
    bool opened;

    put_line(l, "\"", 1);
    opened = !l->full;
    for (size_t i = 0; i < n && !l->full; i++) {
        unsigned char c = (unsigned char)s[i];
        char escape[5];

        if (c == '"' || c == '\\') {
            put_line(l, (char[]){'\\', (char)c}, 2);
        } else if (c == '\n') {
            put_line(l, "\\n", 2);
        } else if (c < 0x20 || c > 0x7e) {
            snprintf(escape, sizeof escape, "\\x%02x", c);
            put_line(l, escape, 4);
        } else {
            put_line(l, s + i, 1);
        }
    }
    if (opened) {
        l->p[l->n++] = '"'; /* LINE_ROOM leaves room for it */
        l->full = l->full || l->n >= LINE_ROOM;
    }
}

static void
put_value(struct line *l, const char *s, size_t n)
{
    bool quote = n == 0;

    for (size_t i = 0; i < n && !quote; i++)
        quote = s[i] <= 0x20 || s[i] > 0x7e || s[i] == '"' || s[i] == '=' || s[i] == '\\';
    if (quote) {
        put_quoted(l, s, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        put_line(l, s + i, 1);
}

/* Formats the conversion f, the text behind a %, and returns the text behind the conversion; NULL
 * for an unknown conversion: then this argument and the later ones can't be read. */
static const char *
put_conversion(struct line *value, const char *f, va_list *ap)
{
    char text[32];
    const char *end = f + 1;

    if (*f == 's') {
        const char *s = va_arg(*ap, const char *);

        put_line_text(value, s != NULL ? s : "(null)");
        return end;
    } else if (*f == 'c') {
        char c = (char)va_arg(*ap, int);

        put_line(value, &c, 1);
        return end;
    } else if (*f == 'd') {
        snprintf(text, sizeof text, "%d", va_arg(*ap, int));
    } else if (*f == 'u') {
        snprintf(text, sizeof text, "%u", va_arg(*ap, unsigned));
    } else if (strncmp(f, "ld", 2) == 0) {
        snprintf(text, sizeof text, "%ld", va_arg(*ap, long));
        end = f + 2;
    } else if (strncmp(f, "lu", 2) == 0) {
        snprintf(text, sizeof text, "%lu", va_arg(*ap, unsigned long));
        end = f + 2;
    } else if (strncmp(f, "lld", 3) == 0) {
        snprintf(text, sizeof text, "%lld", va_arg(*ap, long long));
        end = f + 3;
    } else if (strncmp(f, "llu", 3) == 0) {
        snprintf(text, sizeof text, "%llu", va_arg(*ap, unsigned long long));
        end = f + 3;
    } else if (strncmp(f, "zu", 2) == 0) {
        snprintf(text, sizeof text, "%zu", va_arg(*ap, size_t));
        end = f + 2;
    } else {
        return NULL;
    }
    put_line_text(value, text);
    return end;
}

/* ---- JSON ---- */

/* A character by its number; beyond U+FFFF as two halves. */
static void
put_json_number(struct line *l, unsigned number)
{
    char escape[14];
    int n;

    if (number < 0x10000)
        n = snprintf(escape, sizeof escape, "\\u%04x", number);
    else
        n = snprintf(escape, sizeof escape, "\\u%04x\\u%04x", 0xd800 + ((number - 0x10000) >> 10),
                     0xdc00 + (number & 0x3ff));
    put_line(l, escape, (size_t)n);
}

/* One character of a text. What is no character becomes U+FFFD, and what could move the cursor of a
 * terminal, or turn a text round, is written as a number. Returns its bytes. */
static size_t
put_json_character(struct line *l, const char *s, size_t left)
{
    unsigned char c = (unsigned char)*s;
    size_t n = utf8_length(s, left);

    if (n == 0)
        put_line(l, "\\ufffd", 6);
    else if (c == '"' || c == '\\')
        put_line(l, (char[]){'\\', (char)c}, 2);
    else if (!utf8_plain(s, n)) {
        put_json_number(l, utf8_plain_number(s, n));
    } else {
        put_line(l, s, n);
    }
    return n > 0 ? n : 1;
}

static void
put_json_text(struct line *l, const char *s, size_t n)
{
    for (size_t i = 0; i < n && !l->full;)
        i += put_json_character(l, s + i, n - i);
    l->p[l->n++] = '"'; /* LINE_ROOM leaves room for it */
    l->full = l->full || l->n >= LINE_ROOM;
}

/* ,"key": with the opening quote of a text, or with a whole number. */
static void
put_json_member(struct line *l, const char *key, size_t key_n, const struct line *value,
                bool is_number)
{
    char begin[80];
    int n = snprintf(begin, sizeof begin, "%s\"%.*s\":%s%.*s", l->n > 1 ? "," : "",
                     key_n < 30 ? (int)key_n : 30, key, is_number ? "" : "\"",
                     is_number ? (int)value->n : 0, value->p);

    put_line(l, begin, (size_t)n);
    if (!l->full && !is_number)
        put_json_text(l, value->p, value->n);
}

/* ---- a line ---- */

static void
put_member(struct line *l, const char *key, size_t key_n, const struct line *value, bool is_number)
{
    if (log_as_json) {
        put_json_member(l, key, key_n, value, is_number);
        return;
    }
    put_line(l, " ", 1);
    put_line(l, key, key_n);
    put_line(l, "=", 1);
    put_value(l, value->p, value->n);
}

static void
put_log_text(struct line *l, const char *key, const char *text)
{
    struct line value = {.n = 0};

    put_line_text(&value, text);
    put_member(l, key, strlen(key), &value, false);
}

/* Is the whole value one conversion of a number? */
static bool
is_number_format(const char *f)
{
    size_t n = strcspn(f, " ");

    return n >= 2 && f[0] == '%' && strspn(f + 1, "ludz") == n - 1;
}

/* Formats a whole value before it is quoted: one argument of "key=%s/%s" may need quotes around all
 * of it. */
static void
put_fields(struct line *l, const char *f, va_list *ap)
{
    while (f != NULL && *f != '\0') {
        struct line value = {.n = 0};
        const char *key = f + strspn(f, " ");
        size_t key_n = strcspn(key, "= ");
        bool is_number;

        f = key + key_n;
        if (*f != '=')
            continue;
        is_number = is_number_format(++f);
        while (f != NULL && *f != '\0' && *f != ' ')
            if (*f == '%')
                f = put_conversion(&value, f + 1, ap);
            else
                put_line(&value, f++, 1);
        put_member(l, key, key_n, &value, is_number);
    }
}

/* Journald, on the other end of stderr, adds the time itself (systemd.exec(5), JOURNAL_STREAM). */
static bool
is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char ours[48];
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
        return false;
    snprintf(ours, sizeof ours, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(stream, ours) == 0;
}

static void
put_beginning(struct line *l, enum log_level level, const char *msg, bool has_time)
{
    char time[CLOCK_RFC3339_MAX];

    clock_rfc3339(time, clock_wall_ms());
    if (log_as_json) {
        put_line(l, "{", 1);
        if (has_time)
            put_log_text(l, "time", time);
        put_log_text(l, "level", level_names[level]);
        put_log_text(l, "msg", msg);
    } else {
        if (has_time) {
            put_line_text(l, "time=");
            put_line_text(l, time);
            put_line_text(l, " ");
        }
        put_line_text(l, "level=");
        put_line_text(l, level_names[level]);
        put_line_text(l, " msg=");
        put_quoted(l, msg, strlen(msg));
    }
}

static void
write_line(enum log_level level, const struct line *l, bool to_journal)
{
    char priority[8], newline[] = "\n";
    struct iovec v[3] = {{.iov_base = priority},
                         {.iov_base = (char *)(uintptr_t)l->p, .iov_len = l->n},
                         {.iov_base = newline, .iov_len = 1}};

    if (log_syslog != NULL && syslog_socket_send(log_syslog, level_severities[level], l->p, l->n))
        return;
    if (to_journal)
        v[0].iov_len = (size_t)snprintf(priority, sizeof priority, "<%d>", level_severities[level]);
    while (writev(STDERR_FILENO, v, 3) < 0 && errno == EINTR)
        ;
}

static void
put_whole_line(enum log_level level, const char *msg, const char *fields, va_list *ap)
{
    struct line l = {.n = 0};
    bool to_journal = is_journal();
    int saved = errno;

    put_beginning(&l, level, msg, !to_journal || log_syslog != NULL);
    if (log_request[0] != '\0')
        put_log_text(&l, "request", log_request);
    put_fields(&l, fields, ap);
    if (log_as_json)
        l.p[l.n++] = '}'; /* LINE_ROOM leaves room for it */
    write_line(level, &l, to_journal);
    errno = saved;
}

void
log_line(enum log_level level, const char *msg, const char *fields, ...)
{
    va_list ap;

    if (level > most_verbose)
        return;
    va_start(ap, fields);
    put_whole_line(level, msg, fields, &ap);
    va_end(ap);
}

/* ---- lines that clients cause ---- */

/* Each line is paid with an interval of time. Lines may be paid in advance, as many as a burst has.
 * There is no lock, because a process may be killed while it holds one. */
struct client_lines {
    uint64_t burst, every_ms;
    _Atomic uint64_t paid_until_ms; /* in clock_mono_ms() */
    _Atomic uint64_t left_out;
};

#define CLIENT_LINES                                               \
    {                                                              \
        .burst = LOG_CLIENT_BURST, .every_ms = LOG_CLIENT_EVERY_MS \
    }
static struct client_lines own_lines[] = {CLIENT_LINES, CLIENT_LINES};
static struct client_lines *client_lines = own_lines; /* errors, and others */

void
log_limit_client_lines(uint64_t burst, uint64_t every_ms)
{
    if (client_lines == own_lines) {
        void *shared =
            mmap(NULL, sizeof own_lines, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared != MAP_FAILED)
            client_lines = shared;
    }
    for (size_t i = 0; i < 2; i++) {
        client_lines[i].burst = burst;
        client_lines[i].every_ms = every_ms;
        atomic_store(&client_lines[i].paid_until_ms, 0);
        atomic_store(&client_lines[i].left_out, 0);
    }
}

/* The time until which lines are paid after one more; 0: there is no place for one more. */
static uint64_t
pay_client_line(const struct client_lines *c, uint64_t paid_until, uint64_t now)
{
    uint64_t until = (paid_until > now ? paid_until : now) + c->every_ms;

    return until - now <= c->burst * c->every_ms ? until : 0;
}

static bool
take_client_line(struct client_lines *c)
{
    uint64_t now = clock_mono_ms(), old = atomic_load(&c->paid_until_ms), until;

    do {
        until = pay_client_line(c, old, now);
        if (until == 0)
            return false;
    } while (!atomic_compare_exchange_weak(&c->paid_until_ms, &old, until));
    return true;
}

static void
tell_client_lines(struct client_lines *c)
{
    uint64_t n = atomic_exchange(&c->left_out, 0);

    if (n > 0)
        log_line(LOG_WARN, "clients caused more lines than are logged", "left_out=%llu",
                 (unsigned long long)n);
}

void
log_count_client_lines(void)
{
    for (size_t i = 0; i < 2; i++)
        if (pay_client_line(&client_lines[i], atomic_load(&client_lines[i].paid_until_ms),
                            clock_mono_ms()) != 0)
            tell_client_lines(&client_lines[i]);
}

void
log_client_line(enum log_level level, const char *msg, const char *fields, ...)
{
    struct client_lines *c = &client_lines[level != LOG_ERROR];
    va_list ap;

    if (level > most_verbose)
        return;
    if (!take_client_line(c)) {
        atomic_fetch_add(&c->left_out, 1);
        return;
    }
    tell_client_lines(c);
    va_start(ap, fields);
    put_whole_line(level, msg, fields, &ap);
    va_end(ap);
}
