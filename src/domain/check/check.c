#include "domain/check/check.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
check_tick(struct check *c, struct err *err)
{
    c->watch->tell(c->watch->arg, c->part, c->entries, c->bytes);
    return c->watch->is_over(c->watch->arg) ? err_set(err, ERR_BUSY, "the check was ended") : 0;
}

void
check_report(struct check *c, const struct check_finding *f)
{
    c->findings++;
    c->repaired += f->repaired;
    c->watch->found(c->watch->arg, f);
}

int
check_fails(struct check *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->why, sizeof c->why, fmt, ap);
    va_end(ap);
    return 0;
}

void
check_add_failure(struct check *c, const struct err *err)
{
    size_t n = strlen(c->why);

    snprintf(c->why + n, sizeof c->why - n, "; the repair failed: %s", err->message);
}
