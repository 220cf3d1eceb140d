#include "domain/access/access_pattern.h"

#define USER_MARK "{user}"

/* ---- compiling ---- */

/* Quoted in messages; the longest ones are cut. */
#define SHOWN "\"%.*s\""
#define SHOWN_ARGS(text) (int)((text).n < 80 ? (text).n : 80), (const char *)(text).p

static int
refuse_pattern_byte(struct bytes text, unsigned char c, struct err *err)
{
    char shown[8];

    if (c == '{' || c == '}')
        return err_set(err, ERR_BAD_REQUEST, SHOWN ": only " USER_MARK " may stand in braces",
                       SHOWN_ARGS(text));
    snprintf(shown, sizeof shown, c > ' ' && c < 0x7f ? "%c" : "\\x%02x", c);
    return err_set(err, ERR_BAD_REQUEST,
                   SHOWN ": no repository has a %s in its name: a pattern has a-z, 0-9, ., _, -, "
                         "/, and the wildcards ?, *, ** and " USER_MARK,
                   SHOWN_ARGS(text), shown);
}

/* Slashes at the ends, or two in a row, would make a line that never matches. */
static int
check_pattern_slashes(struct bytes text, struct err *err)
{
    const char *p = text.p;

    if (p[0] == '/')
        return err_set(err, ERR_BAD_REQUEST, SHOWN ": leave out the slash at the beginning",
                       SHOWN_ARGS(text));
    if (p[text.n - 1] == '/')
        return err_set(err, ERR_BAD_REQUEST,
                       SHOWN ": leave out the slash at the end, or write ** behind it for "
                             "everything below",
                       SHOWN_ARGS(text));
    for (size_t i = 1; i < text.n; i++)
        if (p[i] == '/' && p[i - 1] == '/')
            return err_set(err, ERR_BAD_REQUEST, SHOWN ": no repository has two slashes in a row",
                           SHOWN_ARGS(text));
    return 0;
}

/* Adds the stars that begin at p[at]; returns the position behind what they take. */
static size_t
put_pattern_stars(struct access_pattern *out, const char *p, size_t n, size_t at)
{
    size_t end = at;

    while (end < n && p[end] == '*')
        end++;
    if (end - at == 2 && (at == 0 || p[at - 1] == '/') && end < n && p[end] == '/') {
        out->v[out->n++] = ACCESS_DIRECTORIES;
        return end + 1;
    }
    out->v[out->n++] = end - at > 1 ? ACCESS_PATH : ACCESS_PART;
    return end;
}

int
access_pattern_compile(struct access_pattern *p, struct bytes text, struct err *err)
{
    const char *s = text.p;
    const struct bytes mark = bytes_str(USER_MARK);

    p->n = 0;
    p->has_user = false;
    if (text.n == 0 || text.n > ACCESS_PATTERN_MAX)
        return err_set(err, ERR_BAD_REQUEST, SHOWN ": a pattern has 1 to %d bytes",
                       SHOWN_ARGS(text), ACCESS_PATTERN_MAX);
    for (size_t at = 0; at < text.n;) {
        if (s[at] == '*') {
            at = put_pattern_stars(p, s, text.n, at);
        } else if (bytes_start_with(bytes_after(text, at), mark)) {
            p->v[p->n++] = ACCESS_USER;
            p->has_user = true;
            at += mark.n;
        } else {
            uint8_t symbol = s[at] == '?' ? ACCESS_ANY : access_name_symbol(s[at]);

            if (symbol == ACCESS_NAME_OTHER)
                return refuse_pattern_byte(text, (unsigned char)s[at], err);
            p->v[p->n++] = symbol;
            at++;
        }
    }
    return check_pattern_slashes(text, err);
}

/* ---- matching ---- */

/* From each place in `before` to the next one. False: there was none. */
static bool
step_over(struct access_places *set, const struct access_places *before, size_t words)
{
    uint64_t carry = 0, any = 0;

    for (size_t w = 0; w < words; w++) {
        uint64_t taken = set->word[w] & before->word[w];

        any |= taken;
        set->word[w] = taken << 1 | carry;
        carry = taken >> 63;
    }
    return any != 0;
}

/* Adds all places that are reached over bytes that are no slashes. The sum carries each place to
 * the end of its run of such bytes; all that has changed on the way was reached. */
static void
spread_in_component(struct access_places *set, const struct access_name *name)
{
    bool carry = false;

    for (size_t w = 0; w < name->words; w++) {
        uint64_t parts = name->parts.word[w], from = set->word[w] & parts, sum;
        bool over = __builtin_add_overflow(parts, from, &sum);

        over |= __builtin_add_overflow(sum, (uint64_t)carry, &sum);
        set->word[w] |= sum ^ parts;
        carry = over;
    }
}

/* The places from the first one in the set to the end of the name. */
static struct access_places
all_behind(const struct access_places *set, const struct access_name *name)
{
    struct access_places all = {{0}};
    bool found = false;

    for (size_t w = 0; w < name->words; w++) {
        uint64_t lowest = set->word[w] & -set->word[w];

        all.word[w] = found ? ~UINT64_C(0) : -lowest;
        found = found || lowest != 0;
    }
    if (name->n % 64 != 63)
        all.word[name->words - 1] &= (UINT64_C(2) << (name->n % 64)) - 1;
    return all;
}

static void
skip_directories(struct access_places *set, const struct access_name *name)
{
    struct access_places behind = all_behind(set, name);

    step_over(&behind, &name->at[ACCESS_NAME_SLASH], name->words);
    for (size_t w = 0; w < name->words; w++)
        set->word[w] |= behind.word[w];
}

static bool
step_over_user(struct access_places *set, const struct access_name *name, struct bytes user)
{
    const char *p = user.p;

    for (size_t i = 0; i < user.n; i++) {
        uint8_t symbol = access_name_symbol(p[i]);

        if (symbol == ACCESS_NAME_OTHER || symbol == ACCESS_NAME_SLASH ||
            !step_over(set, &name->at[symbol], name->words))
            return false;
    }
    return user.n > 0;
}

bool
access_pattern_match(const uint8_t *v, size_t n, const struct access_name *name, struct bytes user)
{
    struct access_places set = {{1}};

    for (size_t i = 0; i < n; i++) {
        bool going_on = true;

        switch (v[i]) {
        case ACCESS_ANY:
            going_on = step_over(&set, &name->parts, name->words);
            break;
        case ACCESS_PART:
            spread_in_component(&set, name);
            break;
        case ACCESS_PATH:
            set = all_behind(&set, name);
            break;
        case ACCESS_DIRECTORIES:
            skip_directories(&set, name);
            break;
        case ACCESS_USER:
            going_on = step_over_user(&set, name, user);
            break;
        default:
            going_on = v[i] < ACCESS_NAME_SYMBOLS && step_over(&set, &name->at[v[i]], name->words);
        }
        if (!going_on)
            return false;
    }
    return (set.word[name->n / 64] >> (name->n % 64) & 1) != 0;
}

/* ---- the beginning ---- */

bool
access_pattern_start(const uint8_t *v, size_t n, struct bytes user,
                     char out[RECORD_REPOSITORY_MAX + 1], bool *whole)
{
    static const char SYMBOLS[] = "abcdefghijklmnopqrstuvwxyz0123456789._-/";
    size_t at = 0, i = 0;

    for (; i < n && (v[i] < ACCESS_NAME_SYMBOLS || v[i] == ACCESS_USER); i++) {
        size_t add = v[i] == ACCESS_USER ? user.n : 1;

        if (at + add > RECORD_REPOSITORY_MAX || add == 0)
            return false;
        memcpy(out + at, v[i] == ACCESS_USER ? (const char *)user.p : SYMBOLS + v[i], add);
        at += add;
    }
    out[at] = '\0';
    *whole = i == n;
    return true;
}

/* ---- slots ---- */

/* Adds the next symbol of a run without wildcards, and the slot of the last three. */
struct slot_run {
    uint8_t last[3];
    size_t n;
};

static size_t
go_on_run(struct slot_run *run, uint8_t symbol, unsigned bits, uint32_t *slot)
{
    run->last[0] = run->last[1];
    run->last[1] = run->last[2];
    run->last[2] = symbol;
    if (++run->n < 3)
        return 0;
    *slot = access_name_slot(run->last, bits);
    return 1;
}

/* A name is taken with a slash before and behind it, and so is a pattern. */
size_t
access_pattern_slots(const uint8_t *v, size_t n, unsigned bits,
                     uint32_t slots[ACCESS_NAME_SLOTS_MAX])
{
    struct slot_run run = {.n = 0};
    size_t found = go_on_run(&run, ACCESS_NAME_SLASH, bits, slots);

    for (size_t i = 0; i < n; i++) {
        if (v[i] < ACCESS_NAME_SYMBOLS)
            found += go_on_run(&run, v[i], bits, slots + found);
        else
            run.n = 0;
        if (v[i] == ACCESS_DIRECTORIES)
            found += go_on_run(&run, ACCESS_NAME_SLASH, bits, slots + found);
    }
    return found + go_on_run(&run, ACCESS_NAME_SLASH, bits, slots + found);
}
