#include "process/server/retain_source.h"
#include <errno.h>
#include <unistd.h>
#include "domain/retention/retain_round.h"
#include "process/options/option_file.h"
#include "util/fdio.h"

struct retain_source
retain_source_of(const struct options *o, int startdir, int dirfd)
{
    return (struct retain_source){.dirfd = o->retain != NULL ? startdir : dirfd,
                                  .name = o->retain != NULL ? o->retain : RETAIN_RULES_NAME,
                                  .given = o->retain != NULL};
}

static int
read_retain_rules(const struct retain_source *s, struct buf *text, struct retain_rules *rules,
                  struct err *err)
{
    int rc;

    *rules = (struct retain_rules){.n = 0};
    buf_init(text, RETAIN_RULES_BYTES);
    rc = option_file_read_rules("--retain", s->given, s->dirfd, s->name, text, err);
    if (rc == 1 && retain_rules_parse(rules, buf_bytes(text), s->name, err) != 0)
        rc = -1;
    return rc;
}

int
retain_source_read(const struct retain_source *s, struct retain_rules *rules, struct err *err)
{
    struct buf text;
    int rc = read_retain_rules(s, &text, rules, err);

    buf_free(&text);
    return rc;
}

/* Rules that are the same are not written anew: the time of the file tells when they changed. */
static int
put_retain_rules(int dirfd, struct bytes text, struct err *err)
{
    struct buf old;
    int rc;

    buf_init(&old, RETAIN_RULES_BYTES);
    rc = fdio_read_file(dirfd, RETAIN_ROUND_RULES, &old, err);
    if (rc != 1 || !bytes_equal(buf_bytes(&old), text))
        rc = fdio_replace_file(dirfd, RETAIN_ROUND_RULES, 0600, text, err);
    buf_free(&old);
    return rc < 0 ? -1 : 0;
}

int
retain_source_install(struct retain_source *s, int dirfd, struct err *err)
{
    struct retain_rules rules;
    struct buf text;
    int rc = read_retain_rules(s, &text, &rules, err);

    if (rc == 1)
        rc = put_retain_rules(dirfd, buf_bytes(&text), err);
    else if (rc == 0 && unlinkat(dirfd, RETAIN_ROUND_RULES, 0) != 0 && errno != ENOENT)
        rc = err_errno(err, "cannot remove %s", RETAIN_ROUND_RULES);
    if (rc >= 0)
        s->rules = rules.n;
    retain_rules_free(&rules);
    buf_free(&text);
    return rc < 0 ? -1 : 0;
}
