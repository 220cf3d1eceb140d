#include "process/commands/user_mentions.h"
#include "domain/access/access_groups.h"
#include "domain/access/access_rules.h"
#include "domain/access/access_text.h"
#include "process/commands/command.h"
#include "process/options/option_file.h"

/* Does a line of auth/groups name the user? What is in front of the colon is the group. */
static bool
group_names(struct bytes line, struct bytes name)
{
    const char *colon = memchr(line.p, ':', line.n);
    struct bytes word;

    if (colon == NULL)
        return false;
    line = bytes_after(line, (size_t)(colon - (const char *)line.p) + 1);
    while (access_text_word(&line, &word))
        if (bytes_equal(word, name))
            return true;
    return false;
}

/* The second word of a rule. */
static bool
rule_names(struct bytes line, struct bytes name)
{
    struct bytes word;

    return access_text_word(&line, &word) && access_text_word(&line, &word) &&
           bytes_equal(word, name);
}

/* Reads files with errors as well: nobody asked for their correctness. */
static void
warn_of_lines(const char *file, struct bytes text, bool (*names)(struct bytes, struct bytes),
              const char *name)
{
    struct access_text t = {.name = file, .rest = text};
    unsigned first = 0, n = 0;
    struct bytes line;

    while (access_text_next(&t, &line)) {
        if (!names(line, bytes_str(name)))
            continue;
        first = n++ == 0 ? t.line : first;
    }
    if (n == 1)
        command_note("warning: %s:%u still names %s: a new user of this name gets these rights",
                     file, first, name);
    else if (n > 1)
        command_note("warning: %u lines of %s, from line %u on, still name %s: a new user of "
                     "this name gets these rights",
                     n, file, first, name);
}

void
user_mentions_warn(const struct user_file *f, int startdir, const char *access, const char *name)
{
    struct buf groups, rules;
    struct err err;
    int rc;

    buf_init(&groups, ACCESS_GROUPS_MAX);
    buf_init(&rules, ACCESS_RULES_MAX);
    rc = command_read(&f->dir, &f->who, ACCESS_GROUPS_NAME, &groups, &err);
    if (rc >= 0)
        warn_of_lines(ACCESS_GROUPS_NAME, buf_bytes(&groups), group_names, name);
    if (rc >= 0)
        rc = access != NULL ? option_file_read(startdir, access, &rules, &err)
                            : command_read(&f->dir, &f->who, ACCESS_RULES_NAME, &rules, &err);
    if (rc >= 0)
        warn_of_lines(access != NULL ? access : ACCESS_RULES_NAME, buf_bytes(&rules), rule_names,
                      name);
    else
        command_note("warning: groups or access rules may still name %s: %s", name, err.message);
    buf_free(&groups);
    buf_free(&rules);
}
