#include "process/server/given_users.h"
#include "domain/access/htpasswd.h"

static int
hash_user(const char *name, const char *password, const struct token_keys *keys, struct bytes known,
          struct buf *out, struct err *err)
{
    bool is_overwritten = strspn(password, "*") == strlen(password);
    struct bytes line = is_overwritten ? htpasswd_find(known, bytes_str(name)) : bytes_of(NULL, 0);
    uint8_t salt[HTPASSWD_SALT_BYTES];

    if (line.n > 0) {
        buf_put(out, line.p, line.n);
        buf_putc(out, '\n');
        return 0;
    }
    if (!token_key_derive(&keys->now, "salt", name, salt, sizeof salt))
        return err_set(err, ERR_SYSTEM, "cannot hash the password of %s", name);
    return htpasswd_add(out, name, password, salt, err);
}

int
given_users_hash(const struct options *o, const struct token_keys *keys, struct bytes known,
                 struct buf *out, struct err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < o->users.n; i++) {
        char *colon = strchr(o->users.v[i], ':');

        if (colon == NULL)
            continue; /* options.c rules this out, but gcc's analyzer doesn't know that */
        *colon = '\0';
        r = hash_user(o->users.v[i], colon + 1, keys, known, out, err);
        *colon = ':';
    }
    return r;
}
