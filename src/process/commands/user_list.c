#include "process/commands/user_list.h"
#include "domain/access/htpasswd.h"
#include "process/commands/command.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/utf8.h"

/* A line of the list. */
struct user_row {
    const char *name;
    const char *kind, *method, *state;
    char expires[CLOCK_RFC3339_MAX]; /* "": never */
};

/* "2027-01-31T00:00:00Z": the text that --expires takes. */
static void
write_expiry(char out[CLOCK_RFC3339_MAX], uint64_t expiry_s)
{
    out[0] = '\0';
    if (expiry_s == 0)
        return;
    clock_rfc3339(out, expiry_s <= CLOCK_UTC_MAX ? expiry_s * 1000 : CLOCK_UTC_MAX * 1000);
    snprintf(out + strlen("2027-01-31T00:00:00"), 2, "Z");
}

static void
print_user_row(const struct user_row *r)
{
    printf("%s\t%s\t%s\t%s\t%s\n", r->name, r->kind, r->method,
           r->expires[0] != '\0' ? r->expires : "never", r->state);
}

static void
print_user_json(const struct user_row *r, bool first)
{
    struct json *j = json_new_object();

    json_set_string(j, "name", r->name);
    json_set_string(j, "kind", r->kind);
    json_set_string(j, "hash", r->method);
    json_set_string(j, "expires", r->expires);
    json_set_string(j, "state", r->state);
    command_print(first ? "" : ",\n", j, "");
}

static void
print_user_line(struct bytes line, bool json, bool first, size_t *unusable)
{
    struct htpasswd_user u;
    struct user_row row = {.state = "valid"};
    bool usable;
    char *name;

    htpasswd_parse(&u, line);
    row.kind = u.robot ? "robot" : "password";
    row.method = password_hash_method(u.hash, &usable);
    if (!usable) {
        row.state = "unusable";
        (*unusable)++;
    } else if (htpasswd_has_expired(&u, clock_wall_ms() / 1000))
        row.state = "expired";
    write_expiry(row.expires, u.expiry_s);
    name = mem_copy(u.name.p, u.name.n);
    row.name = name;
    if (json) {
        utf8_mend(name);
        print_user_json(&row, first);
    } else {
        name[utf8_make_plain(name, u.name.n)] = '\0';
        print_user_row(&row);
    }
    free(name);
}

/* How many users were printed. */
static size_t
print_users(struct bytes file, bool json)
{
    struct bytes line, name;
    size_t n = 0, unusable = 0;

    if (json)
        putchar('[');
    while (htpasswd_next(&file, &line, &name))
        print_user_line(line, json, n++ == 0, &unusable);
    if (json)
        puts("]");
    if (unusable > 0)
        command_note("warning: nginx can't check the hashes of %zu of these users, whose state "
                     "is \"unusable\": give them new passwords",
                     unusable);
    return n;
}

int
user_list_print(const struct user_file *f, bool json, struct err *err)
{
    struct buf file;
    int rc;

    buf_init(&file, HTPASSWD_MAX);
    rc = f->there ? command_read(&f->dir, &f->who, HTPASSWD_OURS, &file, err) : 0;
    if (rc >= 0 && print_users(buf_bytes(&file), json) == 0)
        command_note(rc == 0 ? "there is no %s/%s: everybody may push and pull, unless the "
                               "server has a --user"
                             : "%s/%s has no users: nobody may push or pull, unless the server "
                               "has a --user",
                     f->dir.name, HTPASSWD_OURS);
    buf_free(&file);
    if (rc >= 0 && (fflush(stdout) != 0 || ferror(stdout)))
        return err_errno(err, "cannot write the list");
    return rc < 0 ? -1 : 0;
}
