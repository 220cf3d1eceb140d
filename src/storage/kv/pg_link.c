#ifdef HAVE_LIBPQ

#include "storage/kv/pg_link.h"
#include <errno.h>
#include <poll.h>
#include "util/clock.h"
#include "util/mem.h"

/* Silence of the server after which the connection counts as lost: a machine that hangs still
 * acknowledges packets. Longer than the limits that the session gives the server. */
#define SILENCE_MS 12000
#define RECONNECT_PAUSE_MS 100

/* ---- connecting ---- */

/* The address comes last, so that it can say something else. */
static const char *const keywords[] = {
    "target_session_attrs",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "application_name",
    "client_encoding",
    "dbname",
    NULL,
};
static const char *const keyword_values[] = {
    "read-write", "3", "10000", "5", "2", "3", "docker-registry-server", "UTF8",
};

static const char *const settings[] = {
    /* Other plans than a walk along the key lock more than the range that is read. */
    "SET enable_seqscan = off",
    "SET enable_bitmapscan = off",
    "SET enable_sort = off",
    "SET plan_cache_mode = force_generic_plan",
    "SET jit = off",
    "SET statement_timeout = '10s'",
    "SET idle_in_transaction_session_timeout = '10s'",
    "SET lock_timeout = '8s'",
    "SET client_min_messages = warning",
    /* The server notices the death of this machine soon, too, and frees our locks. */
    "SET tcp_user_timeout = '10s'",
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    /* What was acknowledged is on disk. */
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local')",
};

/* A server that has stopped to wait for its standby says so in a warning, and then that it has
 * committed: what only it has would be lost with it. */
static void
note_warning(void *arg, const PGresult *res)
{
    struct pg *p = arg;
    const char *function = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

    if (function == NULL || strcmp(function, "SyncRepWaitForLSN") == 0)
        p->was_warned = true;
}

/* Did the server refuse the user, the password or the name of the database? That doesn't pass, and
 * a start needn't wait. libpq tells the SQLSTATE of a failed connection only in this form of its
 * message, and only if it was asked for before: so the connection is made again. */
static void
tell_refusal(struct pg *p, struct err *err)
{
    char why[ERR_MESSAGE_MAX];
    const char *text, *state;
    bool no_password = PQconnectionNeedsPassword(p->conn) == 1;
    size_t n;

    PQsetErrorVerbosity(p->conn, PQERRORS_SQLSTATE);
    PQreset(p->conn);
    text = PQerrorMessage(p->conn);
    n = strlen(text);
    n -= n > 0 && text[n - 1] == '\n';
    state = n > 8 && memcmp(text + n - 8, ":  ", 3) == 0 ? text + n - 5 : "";
    memcpy(why, err->message, sizeof why);
    if (no_password || strncmp(state, "28", 2) == 0)
        err_set(err, ERR_UNSUPPORTED,
                "%.300s: is the user in --database right, and the password in PGPASSWORD or "
                "PGPASSFILE?",
                why);
    else if (strncmp(state, "3D000", 5) == 0)
        err_set(err, ERR_UNSUPPORTED, "%.300s: create it, or name another one with --database",
                why);
}

static int
connect_once(struct pg *p, struct err *err)
{
    const char *vals[sizeof keywords / sizeof keywords[0]] = {0};
    size_t n = sizeof keyword_values / sizeof keyword_values[0];

    memcpy(vals, keyword_values, sizeof keyword_values);
    vals[n] = p->address;
    p->conn = PQconnectdbParams(keywords, vals, 1);
    if (p->conn == NULL)
        mem_exhausted();
    if (PQstatus(p->conn) != CONNECTION_OK || PQsetnonblocking(p->conn, 1) != 0 ||
        PQenterPipelineMode(p->conn) != 1) {
        const char *text = PQerrorMessage(p->conn);

        err_set(err, ERR_BUSY, "the database can't be reached: %.*s", (int)strcspn(text, "\n"),
                text);
        if (p->is_start)
            tell_refusal(p, err);
        pg_link_close(p);
        return -1;
    }
    PQsetNoticeReceiver(p->conn, note_warning, p);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        pg_link_say(p, PG_CHECKED, settings[i]);
    return pg_link_flight(p, NULL, err);
}

bool
pg_link_is_open(const struct pg *p)
{
    struct pollfd fd = {.fd = p->conn != NULL ? PQsocket(p->conn) : -1, .events = POLLRDHUP};

    return p->conn != NULL && !p->is_broken && poll(&fd, 1, 0) <= 0;
}

int
pg_link_open(struct pg *p, struct err *err)
{
    uint64_t until = clock_mono_ms() + PG_PATIENCE_MS;

    if (pg_library_load(err) != 0)
        return -1;
    if (p->conn != NULL && !pg_link_is_open(p))
        pg_link_close(p);
    if (p->conn == NULL && p->kv.is_moment)
        return err_set(err, ERR_BUSY,
                       "the connection to the database was lost while it was copied: repeat this");
    while (p->conn == NULL && connect_once(p, err) != 0) {
        pg_link_close(p);
        if (err->code == ERR_UNSUPPORTED || clock_mono_ms() >= until)
            return -1;
        clock_sleep_ms(RECONNECT_PAUSE_MS);
    }
    return 0;
}

void
pg_link_close(struct pg *p)
{
    if (p->conn != NULL)
        PQfinish(p->conn);
    p->conn = NULL;
    p->is_broken = false;
    p->pending_n = 0;
    p->holds_key = false;
    p->leads = false;
    memset(p->prepared, 0, p->n * PG_STATEMENTS * sizeof *p->prepared);
}

struct pg *
pg_link_new(const char *address, const struct kv_table *tables, size_t n)
{
    struct pg *p = mem_alloc(sizeof *p);

    p->address = mem_strdup(address);
    p->kv.dir = "."; /* uploads and blobs need room, and the database is elsewhere */
    p->tables = tables;
    p->n = n;
    p->changes = mem_array(n, sizeof *p->changes);
    p->prepared = mem_array(n * PG_STATEMENTS, sizeof *p->prepared);
    return p;
}

void
pg_link_free(struct pg *p)
{
    pg_link_close(p);
    free(p->expected);
    free(p->appends);
    free(p->pending);
    free(p->prepared);
    free(p->changes);
    free(p->address);
    free(p);
}

/* ---- sending ---- */

/* sent: what libpq's function returned. */
static void
note_pending(struct pg *p, int sent, enum pg_want want, unsigned number)
{
    if (sent != 1) {
        p->is_broken = true;
        return;
    }
    p->pending = mem_grow(p->pending, &p->pending_room, p->pending_n + 1, sizeof *p->pending);
    p->pending[p->pending_n++] = (struct pg_pending){.want = want, .number = number};
}

void
pg_link_say_with(struct pg *p, enum pg_want want, const char *text, const char *const *params,
                 int n)
{
    if (p->conn != NULL)
        note_pending(p, PQsendQueryParams(p->conn, text, n, NULL, params, NULL, NULL, 0), want, 0);
}

void
pg_link_say(struct pg *p, enum pg_want want, const char *text)
{
    pg_link_say_with(p, want, text, NULL, 0);
}

void
pg_link_prepare(struct pg *p, unsigned number, const char *name, const char *text)
{
    if (p->conn == NULL)
        return;
    note_pending(p, PQsendPrepare(p->conn, name, text, 0, NULL), PG_PREPARE, number);
    p->prepared[number] = true;
}

void
pg_link_execute(struct pg *p, enum pg_want want, unsigned number, const char *name,
                const struct bytes *params, int n)
{
    const char *vals[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX];

    if (p->conn == NULL)
        return;
    for (int i = 0; i < n; i++) {
        vals[i] = params[i].n > 0 ? params[i].p : "";
        lengths[i] = (int)params[i].n;
        formats[i] = 1;
    }
    note_pending(p, PQsendQueryPrepared(p->conn, name, n, vals, lengths, formats, 1), want, number);
}

void
pg_link_sync(struct pg *p)
{
    if (p->conn != NULL)
        note_pending(p, PQpipelineSync(p->conn), PG_SYNC, 0);
}

/* ---- results ---- */

/* NULL: there is none, at the end of a statement's results, or after the loss of the connection. */
static PGresult *
next_result(struct pg *p)
{
    while (PQisBusy(p->conn)) {
        int more = PQflush(p->conn);
        struct pollfd fd = {.fd = PQsocket(p->conn), .events = POLLIN};
        int rc;

        if (more == 1)
            fd.events |= POLLOUT;
        rc = poll(&fd, 1, SILENCE_MS);
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc <= 0)
            return NULL;
        if ((fd.revents & ~POLLOUT) != 0 && PQconsumeInput(p->conn) != 1)
            break; /* the next call has the reason */
    }
    return PQgetResult(p->conn);
}

/* What came of a statement. Takes res. */
static void
keep_result(struct pg *p, const struct pg_pending *w, PGresult *res, PGresult **out)
{
    if (w->want == PG_FETCHED && !w->is_over && p->expected[w->number].memory != NULL) {
        p->expected[w->number].found = res;
    } else if (w->want == PG_WANTED && out != NULL) {
        PQclear(*out);
        *out = res;
    } else {
        PQclear(res);
    }
}

struct landing {
    bool has_failed; /* err has the first failure */
    bool is_lost;
    bool has_committed;
    bool may_commit; /* COMMIT was sent, and nothing says that it wasn't done */
};

/* Reads the result of one statement. */
static void
land_one(struct pg *p, const struct pg_pending *w, PGresult **out, struct landing *l,
         struct err *err)
{
    PGresult *res = next_result(p);
    ExecStatusType status = PQresultStatus(res);
    bool is_good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

    if (status == PGRES_PIPELINE_SYNC && w->want == PG_SYNC) {
        PQclear(res);
        return;
    }
    if (!is_good && w->want == PG_PREPARE)
        p->prepared[w->number] = false;
    if (is_good && w->want == PG_COMMIT) {
        l->may_commit = strcmp(PQcmdStatus(res), "COMMIT") == 0;
        l->has_committed = l->may_commit && !p->was_warned;
        if (!l->has_committed && !l->has_failed) {
            l->has_failed = true;
            err_set(err, ERR_BUSY,
                    l->may_commit ? "the database's standby has not confirmed the transaction"
                                  : "the database has undone the transaction");
        }
    }
    /* The server answers in order: after an answer that isn't the one to COMMIT, there was no
     * COMMIT. A FATAL in the place of COMMIT's answer leaves it open. */
    if (!is_good && status != PGRES_PIPELINE_ABORTED) {
        l->is_lost = l->is_lost || res == NULL || w->want == PG_SYNC || pg_is_fatal(res);
        if (res != NULL && PQresultErrorField(res, PG_DIAG_SQLSTATE) != NULL && !w->is_over &&
            (w->want != PG_COMMIT || !pg_is_fatal(res)))
            l->may_commit = false;
        if (!l->has_failed && (!w->is_over || l->is_lost)) {
            l->has_failed = true;
            pg_error(p, res, err);
        }
    }
    if (is_good)
        keep_result(p, w, res, out);
    else
        PQclear(res);
    if (!l->is_lost && (res = next_result(p)) != NULL) { /* out of step */
        PQclear(res);
        l->is_lost = true;
    }
}

int
pg_link_flight(struct pg *p, PGresult **out, struct err *err)
{
    struct landing l = {0};

    p->kv.flights++;
    if (out != NULL)
        *out = NULL;
    p->was_warned = false;
    pg_link_sync(p);
    for (size_t i = 0; i < p->pending_n; i++)
        l.may_commit = l.may_commit || p->pending[i].want == PG_COMMIT;
    l.is_lost = p->conn == NULL || p->is_broken;
    for (size_t i = 0; i < p->pending_n && !l.is_lost; i++)
        land_one(p, &p->pending[i], out, &l, err);
    p->pending_n = 0;
    if (l.is_lost) {
        if (!l.has_failed)
            pg_error(p, NULL, err);
        pg_link_close(p);
    }
    p->is_doubtful = l.may_commit && !l.has_committed;
    if (l.has_committed || (!l.is_lost && !l.has_failed))
        return 0;
    if (out != NULL) {
        PQclear(*out);
        *out = NULL;
    }
    return -1;
}

#endif
