#ifdef HAVE_LIBPQ

#include "storage/kv/pg_nodes.h"
#include "storage/kv/kv_nodes.h"
#include "storage/kv/pg_link.h"
#include "util/clock.h"
#include "util/hex.h"
#include "util/random.h"

/* Table kv_node has a row for each node. Its times are those of the database's clock: the clocks of
 * the nodes are only compared with it. */

void
pg_node_say_tables(struct pg *p)
{
    pg_link_say(
        p, PG_CHECKED,
        "CREATE TABLE IF NOT EXISTS kv_secret (name text PRIMARY KEY, value bytea NOT NULL)");
    pg_link_say(p, PG_CHECKED,
                "CREATE TABLE IF NOT EXISTS kv_node (number integer PRIMARY KEY,"
                " id text NOT NULL UNIQUE, run text NOT NULL, host text NOT NULL,"
                " address text NOT NULL, version text NOT NULL, beat timestamptz NOT NULL, skew_ms "
                "bigint NOT NULL,"
                " is_stopped boolean NOT NULL, leads boolean NOT NULL DEFAULT false,"
                " handover timestamptz NOT NULL DEFAULT '-infinity')");
}

#define MILLISECONDS(time) "(extract(epoch FROM " time ") * 1000)::bigint"
#define COLUMNS                                \
    "number, id, run, host, address, version," \
    " greatest(0, " MILLISECONDS(              \
        "clock_timestamp() - beat") "), skew_ms, is_stopped::integer, leads::integer"
#define COLUMNS_N 10

static void
copy_text(const PGresult *res, int row, int column, char *out, size_t room)
{
    snprintf(out, room, "%s", PQgetvalue(res, row, column));
}

static int64_t
take_number(const PGresult *res, int row, int column)
{
    return strtoll(PQgetvalue(res, row, column), NULL, 10);
}

static void
read_node(const PGresult *res, int row, struct kv_node *out)
{
    copy_text(res, row, 1, out->id, sizeof out->id);
    copy_text(res, row, 2, out->run, sizeof out->run);
    copy_text(res, row, 3, out->host, sizeof out->host);
    copy_text(res, row, 4, out->address, sizeof out->address);
    copy_text(res, row, 5, out->version, sizeof out->version);
    out->number = (uint32_t)take_number(res, row, 0);
    out->age_ms = (uint64_t)take_number(res, row, 6);
    out->skew_ms = take_number(res, row, 7);
    out->is_stopped = take_number(res, row, 8) != 0;
    out->leads = take_number(res, row, 9) != 0;
}

static int
read_nodes(const PGresult *res, struct kv_node *out, size_t *n, struct err *err)
{
    *n = 0;
    if (PQnfields(res) != COLUMNS_N)
        return err_set(err, ERR_CORRUPT, "table kv_node can't be read");
    for (int i = 0; i < PQntuples(res) && *n < KV_NODES_MAX; i++)
        read_node(res, i, &out[(*n)++]);
    return 0;
}

/* A statement of its own: it may be repeated, since it does the same again. */
static int
ask_again(struct pg *p, const char *text, const char *const *params, int n, PGresult **out,
          struct err *err)
{
    uint64_t until = clock_mono_ms() + PG_PATIENCE_MS;

    for (;;) {
        if (pg_link_open(p, err) != 0)
            return -1;
        pg_link_say_with(p, PG_WANTED, text, params, n);
        if (pg_link_flight(p, out, err) == 0)
            return 0;
        if (p->conn != NULL || clock_mono_ms() >= until)
            return -1;
    }
}

int
pg_node_list(struct kv *kv, struct kv_node *out, size_t *n, struct err *err)
{
    PGresult *res;
    int rc;

    if (ask_again((struct pg *)kv, "SELECT " COLUMNS " FROM kv_node ORDER BY number", NULL, 0, &res,
                  err) != 0)
        return -1;
    rc = read_nodes(res, out, n, err);
    PQclear(res);
    return rc;
}

int
pg_node_find(struct kv *kv, uint32_t number, struct kv_node *out, struct err *err)
{
    char text[16];
    const char *params[] = {text};
    PGresult *res;
    int rows;

    snprintf(text, sizeof text, "%u", number);
    if (ask_again((struct pg *)kv, "SELECT " COLUMNS " FROM kv_node WHERE number = $1::integer",
                  params, 1, &res, err) != 0)
        return -1;
    rows = PQntuples(res);
    if (rows == 1)
        read_node(res, 0, out);
    PQclear(res);
    return rows;
}

int
pg_node_self(struct kv *kv, const char *run, struct kv_node_self *out, struct err *err)
{
    const char *params[] = {run};
    PGresult *res;
    const char *key;
    int rc = -1;

    if (ask_again((struct pg *)kv,
                  "SELECT number, encode(value, 'hex') FROM kv_node, kv_secret"
                  " WHERE run = $1 AND name = 'nodes'",
                  params, 1, &res, err) != 0)
        return -1;
    if (PQntuples(res) == 1) {
        key = PQgetvalue(res, 0, 1);
        out->number = (uint32_t)take_number(res, 0, 0);
        rc = hex_decode(out->key, sizeof out->key, key, strlen(key)) ? 0 : -1;
    }
    PQclear(res);
    return rc == 0 ? 0 : err_set(err, ERR_UNSUPPORTED, "the database doesn't know this node");
}

/* ---- joining ---- */

static int
refuse_join(const struct kv_node *self, const struct kv_node *other, struct err *err)
{
    if (strcmp(self->id, other->id) == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "a server on %s has the same db/node-id: this data directory is a copy of "
                       "another one; if the directory was moved, start again in %d s",
                       other->host, KV_NODE_DEAD_MS / 1000);
    if (self->address[0] != '\0' && strcmp(self->address, other->address) == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "a server on %s has the --node-address %s, too: give each its own; if that "
                       "one was killed, start again in %d s",
                       other->host, other->address, KV_NODE_DEAD_MS / 1000);
    return err_set(err, ERR_UNSUPPORTED,
                   "a server on %s works with this database, and %s has no --node-address, which "
                   "several servers need; if the other one was killed, start again in %d s",
                   other->host, self->address[0] == '\0' ? "this one" : "that one",
                   KV_NODE_DEAD_MS / 1000);
}

/* The nodes that are there, in a transaction that locks the table. */
static int
begin_join(struct pg *p, struct kv_node *nodes, size_t *n, struct err *err)
{
    PGresult *res;
    int rc;

    pg_link_say(p, PG_CHECKED, "BEGIN");
    pg_link_say(p, PG_CHECKED, "LOCK TABLE kv_node IN EXCLUSIVE MODE");
    pg_link_say(p, PG_CHECKED,
                "DELETE FROM kv_node WHERE beat < clock_timestamp() - interval '7 days'");
    pg_link_say(p, PG_WANTED, "SELECT " COLUMNS " FROM kv_node ORDER BY number");
    if (pg_link_flight(p, &res, err) != 0)
        return -1;
    rc = read_nodes(res, nodes, n, err);
    PQclear(res);
    return rc;
}

static int
check_join(const struct kv_node *self, const struct kv_node *nodes, size_t n, struct err *err)
{
    bool is_known = false;

    for (size_t i = 0; i < n; i++) {
        bool is_same = strcmp(self->id, nodes[i].id) == 0;

        is_known = is_known || is_same;
        if (!kv_node_is_alive(&nodes[i]))
            continue;
        if (is_same ? strcmp(self->host, nodes[i].host) != 0
                    : self->address[0] == '\0' || nodes[i].address[0] == '\0' ||
                          strcmp(self->address, nodes[i].address) == 0)
            return refuse_join(self, &nodes[i], err);
    }
    if (is_known || n < KV_NODES_MAX)
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "the database has %d nodes already: delete those that are no more from table "
                   "kv_node",
                   KV_NODES_MAX);
}

/* The first node makes the key of all. */
static void
say_key(struct pg *p)
{
    char text[2 * KV_NODE_KEY_BYTES + 1];
    uint8_t key[KV_NODE_KEY_BYTES];
    const char *params[] = {text};

    random_bytes(key, sizeof key);
    hex_encode(text, key, sizeof key);
    pg_link_say_with(p, PG_CHECKED,
                     "INSERT INTO kv_secret VALUES ('nodes', decode($1, 'hex'))"
                     " ON CONFLICT DO NOTHING",
                     params, 1);
}

static int
enter_node(struct pg *p, const struct kv_node *self, struct err *err)
{
    const char *params[] = {self->id, self->run, self->host, self->address, self->version};

    pg_link_say_with(
        p, PG_CHECKED,
        "INSERT INTO kv_node SELECT (SELECT min(i) FROM generate_series(1, 65535)"
        " i WHERE NOT EXISTS (SELECT FROM kv_node WHERE number = i)),"
        " $1, $2, $3, $4, $5, clock_timestamp(), 0, false, false"
        " ON CONFLICT (id) DO UPDATE SET run = $2, host = $3, address = $4, version = $5,"
        " beat = EXCLUDED.beat, is_stopped = false, leads = false",
        params, 5);
    say_key(p);
    pg_link_say(p, PG_COMMIT, "COMMIT");
    return pg_link_flight(p, NULL, err);
}

/* A lock of the connection. What a start finds out, and then writes, another one that begins at the
 * same moment would find out, too: a new database has no number of its registry yet, say. */
static int
wait_for_other_starts(struct pg *p, struct err *err)
{
    char text[64];

    snprintf(text, sizeof text, "SELECT pg_advisory_lock(%d, 0)", PG_LOCK_START);
    pg_link_say(p, PG_CHECKED, text);
    if (pg_link_flight(p, NULL, err) == 0)
        return 0;
    return strstr(err->message, "(55P03)") == NULL /* lock_timeout */
               ? -1
               : err_set(err, ERR_BUSY, "another server of this database starts, too");
}

int
pg_node_join(struct kv *kv, const struct kv_node *self, struct err *err)
{
    struct pg *p = (struct pg *)kv;
    struct kv_node nodes[KV_NODES_MAX];
    struct err ignored;
    size_t n;

    if (pg_link_open(p, err) != 0 || wait_for_other_starts(p, err) != 0)
        return -1;
    if (begin_join(p, nodes, &n, err) == 0 && check_join(self, nodes, n, err) == 0 &&
        enter_node(p, self, err) == 0)
        return 0;
    if (p->conn != NULL) {
        pg_link_say(p, PG_CHECKED, "ROLLBACK");
        pg_link_flight(p, NULL, &ignored);
    }
    return -1;
}

/* ---- living ---- */

int
pg_node_beat(struct kv *kv, struct kv_node *self, struct err *err)
{
    char skew[24];
    const char *params[] = {self->run, skew};
    uint64_t began, ended;
    PGresult *res;
    int64_t there;
    int rows;

    snprintf(skew, sizeof skew, "%lld", (long long)self->skew_ms);
    began = clock_wall_ms();
    if (ask_again((struct pg *)kv,
                  "UPDATE kv_node SET beat = clock_timestamp(), skew_ms = $2::bigint,"
                  " is_stopped = false WHERE run = $1"
                  " RETURNING number, " MILLISECONDS("beat"),
                  params, 2, &res, err) != 0)
        return -1;
    ended = clock_wall_ms();
    rows = PQntuples(res);
    there = rows == 1 ? take_number(res, 0, 1) : 0;
    self->number = rows == 1 ? (uint32_t)take_number(res, 0, 0) : 0;
    PQclear(res);
    if (rows != 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "another server has taken this node's place in the database: its data "
                       "directory is a copy of this one");
    self->skew_ms = (int64_t)(began / 2 + ended / 2) - there;
    return 0;
}

int
pg_node_leave(struct kv *kv, const struct kv_node *self, bool is_over, struct err *err)
{
    const char *params[] = {self->run, is_over ? "false" : "true"};
    PGresult *res;

    if (ask_again((struct pg *)kv,
                  "UPDATE kv_node SET is_stopped = true, leads = leads AND $2::boolean"
                  " WHERE run = $1",
                  params, 2, &res, err) != 0)
        return -1;
    PQclear(res);
    return 0;
}

/* ---- secrets ---- */

int
pg_node_secret_get(struct kv *kv, const char *name, struct buf *value, struct err *err)
{
    const char *params[] = {name};
    uint8_t bytes[KV_SECRET_MAX];
    PGresult *res;
    const char *text;
    int rows;

    if (ask_again((struct pg *)kv, "SELECT encode(value, 'hex') FROM kv_secret WHERE name = $1",
                  params, 1, &res, err) != 0)
        return -1;
    rows = PQntuples(res);
    text = rows == 1 ? PQgetvalue(res, 0, 0) : "";
    buf_reset(value);
    if (rows == 1 && (strlen(text) > 2 * sizeof bytes ||
                      !hex_decode(bytes, strlen(text) / 2, text, strlen(text))))
        rows = err_set(err, ERR_CORRUPT, "the secret %s in the database can't be read", name);
    else if (rows == 1)
        buf_put(value, bytes, strlen(text) / 2);
    PQclear(res);
    explicit_bzero(bytes, sizeof bytes);
    return rows;
}

int
pg_node_secret_put(struct kv *kv, const char *name, struct bytes before, struct bytes value,
                   struct err *err)
{
    char old[2 * KV_SECRET_MAX + 1], new[2 * KV_SECRET_MAX + 1];
    const char *params[] = {name, new, old};
    PGresult *res;
    int rows;

    if (before.n > KV_SECRET_MAX || value.n > KV_SECRET_MAX)
        return err_set(err, ERR_SYSTEM, "the secret %s is too long", name);
    hex_encode(old, before.p, before.n);
    hex_encode(new, value.p, value.n);
    if (ask_again((struct pg *)kv,
                  before.n > 0 ? "UPDATE kv_secret SET value = decode($2, 'hex')"
                                 " WHERE name = $1 AND value = decode($3, 'hex') RETURNING 1"
                               : "INSERT INTO kv_secret VALUES ($1, decode($2, 'hex'))"
                                 " ON CONFLICT DO NOTHING RETURNING 1",
                  params, before.n > 0 ? 3 : 2, &res, err) != 0)
        return -1;
    rows = PQntuples(res);
    PQclear(res);
    return rows;
}

/* ---- leading ---- */

#define TEXT_OF_NUMBER(n) #n
#define TEXT_OF(n) TEXT_OF_NUMBER(n)

/* Enters that this node leads, after the lock was taken. If another one led before and didn't end
 * in order, what it has handed out may still be worked on. The subselects see the rows as they were
 * before the update. */
static int
note_leader(struct pg *p, const struct kv_node *self, uint64_t *wait_ms, struct err *err)
{
    const char *params[] = {self->run};
    PGresult *res;
    int64_t wait;

    pg_link_say_with(
        p, PG_WANTED,
        "UPDATE kv_node SET leads = (run = $1), handover = CASE"
        " WHEN run <> $1 OR leads THEN handover"
        " WHEN (SELECT bool_or(leads) FROM kv_node WHERE run <> $1)"
        " THEN clock_timestamp() + interval '" TEXT_OF(
            KV_NODE_HANDOVER_MS) " ms'"
                                 " ELSE '-infinity' END WHERE leads OR run = $1 RETURNING run = $1,"
                                 " CASE WHEN handover = '-infinity' THEN 0"
                                 " ELSE " MILLISECONDS("handover - clock_timestamp()") " END",
        params, 1);
    if (pg_link_flight(p, &res, err) != 0)
        return -1;
    wait = INT64_MIN;
    for (int i = 0; i < PQntuples(res); i++)
        if (strcmp(PQgetvalue(res, i, 0), "t") == 0)
            wait = take_number(res, i, 1);
    PQclear(res);
    if (wait == INT64_MIN)
        return err_set(err, ERR_UNSUPPORTED, "the database doesn't know this node");
    *wait_ms = wait > 0 ? (uint64_t)wait : 0;
    return 0;
}

/* Nobody can have taken the lock since an earlier process of this server had it. 0: somebody has;
 * -1. */
static int
is_own_lock(struct pg *p, const struct kv_node *self, struct err *err)
{
    const char *params[] = {self->run};
    PGresult *res;
    bool is_own;

    if (ask_again(p, "SELECT FROM kv_node WHERE run = $1 AND leads", params, 1, &res, err) != 0)
        return -1;
    is_own = PQntuples(res) == 1;
    PQclear(res);
    return is_own ? err_set(err, ERR_BUSY,
                            "the database has not ended the connection of the process before yet")
                  : 0;
}

int
pg_node_lead(struct kv *kv, const struct kv_node *self, uint64_t *wait_ms, struct err *err)
{
    struct pg *p = (struct pg *)kv;
    PGresult *res;
    bool has;

    if (pg_link_open(p, err) != 0)
        return -1;
    pg_link_say(p, PG_WANTED,
                "SELECT pg_try_advisory_lock(" TEXT_OF(PG_LOCK_LEADER) ", 0)::integer");
    if (pg_link_flight(p, &res, err) != 0)
        return -1;
    has = take_number(res, 0, 0) != 0;
    PQclear(res);
    if (!has)
        return is_own_lock(p, self, err);
    if (note_leader(p, self, wait_ms, err) != 0) {
        pg_link_close(p); /* and with it the lock */
        return -1;
    }
    p->leads = p->was_leader = true;
    return 1;
}

bool
pg_node_leads(const struct kv *kv)
{
    const struct pg *p = (const struct pg *)kv;

    return !p->was_leader || (p->leads && pg_link_is_open(p));
}

#endif
