#ifdef HAVE_LIBPQ

#include "storage/kv/pg.h"

/* SQLSTATE: PostgreSQL's manual, appendix A. */
static const struct {
    const char *state; /* or its beginning */
    enum err_code code;
} states[] = {
    {"40001", ERR_BUSY},     /* serialization failure */
    {"40P01", ERR_BUSY},     /* deadlock */
    {"23505", ERR_BUSY},     /* two have put the same new key */
    {"55P03", ERR_BUSY},     /* lock_timeout */
    {"25006", ERR_BUSY},     /* a primary that became a standby */
    {"57P", ERR_BUSY},       /* the server stops, or ends the connection */
    {"25P03", ERR_BUSY},     /* idle_in_transaction_session_timeout */
    {"57014", ERR_FAULT},    /* statement_timeout */
    {"53100", ERR_NO_SPACE}, /* its disk is full */
    {"53", ERR_FAULT},       /* memory, connections, locks */
    {"58", ERR_FAULT},       /* its files */
    {"XX001", ERR_CORRUPT},  {"XX002", ERR_CORRUPT},
};

static enum err_code
code_of_state(const char *state)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strncmp(state, states[i].state, strlen(states[i].state)) == 0)
            return states[i].code;
    return ERR_SYSTEM;
}

int
pg_error(const struct pg *p, const PGresult *res, struct err *err)
{
    const char *state = res != NULL ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *text =
        state != NULL ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : PQerrorMessage(p->conn);

    if (text == NULL || *text == '\0')
        text = "no answer";
    if (state == NULL)
        return err_set(err, ERR_BUSY, "the connection to the database is lost: %.*s",
                       (int)strcspn(text, "\n"), text);
    return err_set(err, code_of_state(state), "the database says: %.*s (%s)",
                   (int)strcspn(text, "\n"), text, state);
}

bool
pg_is_fatal(const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

    return state == NULL || severity == NULL || strcmp(severity, "ERROR") != 0 ||
           strcmp(state, "25006") == 0;
}

#endif
