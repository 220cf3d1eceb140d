#include "process/server/access_source.h"
#include "domain/access/access_file.h"
#include "domain/access/access_groups.h"
#include "domain/access/access_rules.h"
#include "domain/access/access_table.h"
#include "domain/access/htpasswd.h"
#include "process/options/option_file.h"
#include "util/fdio.h"

void
access_source_init(struct access_source *a, const struct options *o, int startdir, int dirfd)
{
    *a = (struct access_source){.rules_dirfd = o->access != NULL ? startdir : dirfd,
                                .rules_name = o->access != NULL ? o->access : ACCESS_RULES_NAME,
                                .given = o->access != NULL};
    buf_init(&a->rules, ACCESS_RULES_MAX);
    buf_init(&a->groups, ACCESS_GROUPS_MAX);
}

void
access_source_free(struct access_source *a)
{
    buf_free(&a->rules);
    buf_free(&a->groups);
}

/* ---- writing ---- */

static int
write_access(int dirfd, struct access_sources *s, bool users, struct err *err)
{
    struct buf text;
    int rc = 0;

    if (!users && !s->has_rules)
        return access_file_remove(dirfd, err);
    buf_init(&text, 2 * HTPASSWD_MAX);
    if (users)
        rc = fdio_read_file(dirfd, HTPASSWD_RUN, &text, err);
    if (rc >= 0) {
        s->users = buf_bytes(&text);
        rc = access_file_write(dirfd, s, err);
    }
    buf_free(&text);
    return rc;
}

int
access_source_write(const struct access_source *a, int dirfd, bool users, struct err *err)
{
    struct access_sources s = {.has_rules = a->has_rules,
                               .rules = buf_bytes(&a->rules),
                               .groups = buf_bytes(&a->groups),
                               .rules_name = a->rules_name};

    return write_access(dirfd, &s, users, err);
}

/* ---- reading ---- */

static int
read_sources(const struct access_source *a, int dirfd, struct access_source *new, struct err *err)
{
    int rules = option_file_read_rules("--access", a->given, a->rules_dirfd, a->rules_name,
                                       &new->rules, err);
    int groups = rules < 0 ? -1 : fdio_read_given(dirfd, ACCESS_GROUPS_NAME, &new->groups, err);

    if (rules < 0 || groups < 0)
        return -1;
    new->has_rules = rules == 1;
    return 0;
}

int
access_source_read(struct access_source *a, int dirfd, bool users, struct err *err)
{
    struct access_source new = *a;

    fdio_look(a->rules_dirfd, a->rules_name, &a->rules_seen);
    fdio_look(dirfd, ACCESS_GROUPS_NAME, &a->groups_seen);
    new.rules_seen = a->rules_seen;
    new.groups_seen = a->groups_seen;
    buf_init(&new.rules, ACCESS_RULES_MAX);
    buf_init(&new.groups, ACCESS_GROUPS_MAX);
    if (read_sources(a, dirfd, &new, err) != 0 ||
        access_source_write(&new, dirfd, users, err) != 0) {
        access_source_free(&new);
        return -1;
    }
    access_source_free(a);
    *a = new;
    return 0;
}

int
access_source_check(const struct access_source *a, int dirfd, struct err *err)
{
    struct access_source new = *a;
    struct access_sources s = {.rules_name = a->rules_name};
    struct buf compiled;
    int rc;

    buf_init(&new.rules, ACCESS_RULES_MAX);
    buf_init(&new.groups, ACCESS_GROUPS_MAX);
    buf_init(&compiled, ACCESS_TABLE_MAX);
    rc = read_sources(a, dirfd, &new, err);
    s.has_rules = new.has_rules;
    s.rules = buf_bytes(&new.rules);
    s.groups = buf_bytes(&new.groups);
    if (rc == 0)
        rc = access_table_compile(&s, &compiled, err);
    buf_free(&compiled);
    access_source_free(&new);
    return rc;
}

bool
access_source_changed(struct access_source *a, int dirfd)
{
    bool rules = fdio_has_changed(a->rules_dirfd, a->rules_name, &a->rules_seen);

    return fdio_has_changed(dirfd, ACCESS_GROUPS_NAME, &a->groups_seen) || rules;
}
