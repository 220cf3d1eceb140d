#include "process/nginx/wrong_passwords.h"
#include <limits.h>
#include "util/log.h"

#define MINUTE_MS 60000
#define FURTHER "others"
/* Each line of a minute needs this many times as many as the one before. */
#define GROWTH 10

/* Finds the name and the address in, for example,
 *
 *     *5 user "ann": password mismatch, client: 192.0.2.1, server: _, request: "GET /v2/ HTTP/1.1"
 *     *5 user "bob" was not found in "./run/htpasswd", client: 192.0.2.1, server: ...
 *
 * A user name has no colon (RFC 7617), so that it can't contain an address. */
static bool
parse_wrong_password(const char *text, struct wrong_passwords_of *found)
{
    const char *user = strstr(text, "user \""), *end, *client;

    if (user == NULL || user != text + strspn(text, "*0123456789 "))
        return false;
    user += strlen("user \"");
    client = strstr(user, ", client: ");
    end = strstr(user, "\": password mismatch, client: ");
    if (end == NULL)
        end = strstr(user, "\" was not found in \"");
    if (end == NULL || client == NULL || end > client)
        return false;
    client += strlen(", client: ");
    snprintf(found->user, sizeof found->user, "%.*s", (int)(end - user), user);
    snprintf(found->address, sizeof found->address, "%.*s", (int)strcspn(client, ", "), client);
    return true;
}

/* The place of the address, or a free one, or the last one. */
static struct wrong_passwords_of *
find_address_place(struct wrong_passwords *w, const char *address)
{
    struct wrong_passwords_of *unused = NULL;

    for (size_t i = 0; i < WRONG_PASSWORDS_ADDRESSES; i++) {
        if (strcmp(w->of[i].address, address) == 0)
            return &w->of[i];
        if (unused == NULL && w->of[i].address[0] == '\0')
            unused = &w->of[i];
    }
    return unused != NULL ? unused : &w->of[WRONG_PASSWORDS_ADDRESSES];
}

/* Not log_client_line: its limit is common to lines of all kinds, so that one could hide guesses
 * behind other lines. Places and minutes limit these. */
static void
tell_wrong_passwords(const struct wrong_passwords *w, struct wrong_passwords_of *of)
{
    if (w->tell != NULL)
        w->tell(of, w->arg);
    else
        log_line(LOG_WARN, "wrong password", "user=%s address=%s times=%u", of->user, of->address,
                 of->times);
    of->times = 0;
}

static uint64_t
end_of_period(const struct wrong_passwords *w, uint64_t now_ms)
{
    return now_ms + (w->period_ms != 0 ? w->period_ms : MINUTE_MS);
}

bool
wrong_passwords_take(struct wrong_passwords *w, const char *text, uint64_t now_ms)
{
    struct wrong_passwords_of found, *of;
    bool is_last, is_first;

    if (!parse_wrong_password(text, &found))
        return false;
    of = find_address_place(w, found.address);
    is_last = of == &w->of[WRONG_PASSWORDS_ADDRESSES];
    is_first = of->address[0] == '\0';
    memcpy(of->user, found.user, sizeof of->user);
    snprintf(of->address, sizeof of->address, "%s", is_last ? FURTHER : found.address);
    of->times++;
    if (is_first) {
        of->next = 1;
        of->until_ms = end_of_period(w, now_ms);
    }
    if (of->times >= of->next) {
        of->next = of->next <= UINT_MAX / GROWTH ? of->next * GROWTH : UINT_MAX;
        tell_wrong_passwords(w, of);
    }
    return true;
}

bool
wrong_password_address(const char *text, char address[WRONG_PASSWORDS_ADDRESS])
{
    struct wrong_passwords_of found;

    if (!parse_wrong_password(text, &found))
        return false;
    memcpy(address, found.address, sizeof found.address);
    return true;
}

void
wrong_passwords_tell(struct wrong_passwords *w, uint64_t now_ms)
{
    for (size_t i = 0; i <= WRONG_PASSWORDS_ADDRESSES; i++) {
        struct wrong_passwords_of *of = &w->of[i];

        if (of->address[0] == '\0' || now_ms < of->until_ms)
            continue;
        if (of->times > 0) {
            of->next = GROWTH;
            of->until_ms = end_of_period(w, now_ms);
            tell_wrong_passwords(w, of);
        } else {
            of->address[0] = '\0';
        }
    }
}
