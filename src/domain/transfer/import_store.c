#include "domain/transfer/import_store.h"
#include <stdarg.h>
#include "domain/name.h"
#include "domain/core/repository.h"

void
import_store_begin(struct import_store *s, const struct registry *reg,
                   const struct import_access *access, const char *prefix,
                   struct import_counts *counts)
{
    *s = (struct import_store){
        .reg = reg,
        .access = access,
        .prefix = prefix,
        .counts = counts,
        .actor = {.user = "", .address = "", .quiet = true},
    };
}

void
import_store_end(struct import_store *s)
{
    import_set_free(&s->blobs);
    import_set_free(&s->bad);
    import_set_free(&s->repositories);
    import_set_free(&s->names);
    import_set_free(&s->taken);
    import_set_free(&s->refused);
    import_set_free(&s->joined);
}

/* ---- complaints ---- */

__attribute__((format(printf, 2, 0))) static void
report_line(struct import_store *s, const char *fmt, va_list ap)
{
    char text[1024];

    vsnprintf(text, sizeof text, fmt, ap);
    for (char *p = text; *p != '\0'; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
    s->access->complain(s->access->arg, text);
}

void
import_store_say(struct import_store *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report_line(s, fmt, ap);
    va_end(ap);
}

int
import_store_leave_out(struct import_store *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report_line(s, fmt, ap);
    va_end(ap);
    s->counts->left_out++;
    return 0;
}

int
import_store_failed(struct import_store *s, const struct err *err, const char *fmt, ...)
{
    char what[1024];
    va_list ap;

    if (import_store_is_fatal(err))
        return -1;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return import_store_leave_out(s, "%s is left out: %s", what, err->message);
}

bool
import_store_is_fatal(const struct err *err)
{
    return err->code == ERR_SYSTEM || err->code == ERR_NO_SPACE || err->code == ERR_BUSY ||
           err->code == ERR_FAULT || err->code == ERR_UNSYNCED || err->code == ERR_CORRUPT;
}

int
import_store_go_on(const struct import_store *s, struct err *err)
{
    if (!s->access->is_over(s->access->arg))
        return 0;
    return err_set(err, ERR_BUSY,
                   "stopped; what was imported remains, and the next import continues from there");
}

/* ---- counting ---- */

int
import_store_count_blob(struct import_store *s, const struct digest *d)
{
    bool is_new;

    import_set_add(&s->blobs, d, &is_new);
    s->counts->blobs += is_new;
    return 1;
}

int
import_store_count_repository(struct import_store *s)
{
    struct digest hash;
    bool is_new;

    digest_of(&hash, DIGEST_SHA256, bytes_str(s->name));
    import_set_add(&s->repositories, &hash, &is_new);
    s->counts->repositories += is_new;
    return 1;
}

int
import_store_count_tag(struct import_store *s)
{
    s->counts->tags++;
    return import_store_count_repository(s);
}

/* ---- the repository ---- */

int
import_store_enter(struct import_store *s, const char *name, struct err *err)
{
    bool prefix = s->prefix != NULL;
    int n = snprintf(s->name, sizeof s->name, "%s%s%s", prefix ? s->prefix : "", prefix ? "/" : "",
                     name),
        rc;

    s->ensured = false;
    import_set_free(&s->taken);
    import_set_free(&s->refused);
    import_set_free(&s->joined);
    if (n >= (int)sizeof s->name || !name_is_repository(s->name))
        return import_store_leave_out(
            s, "repository %.300s is left out: it can't have this name here", name);
    rc = repository_find(s->reg, s->name, &s->repo, err);
    s->ensured = rc == 1;
    return rc < 0 ? -1 : 1;
}

int
import_store_ensure(struct import_store *s, struct err *err)
{
    if (!s->ensured && repository_ensure(s->reg, s->name, &s->repo, err) != 0)
        return import_store_failed(s, err, "repository %s", s->name);
    s->ensured = true;
    return 1;
}
