#include "domain/access/access_table.h"
#include "domain/access/access_format.h"
#include "domain/access/access_pattern.h"
#include "util/digest.h"
#include "util/mem.h"
#include "util/pack.h"

/* A bit for each number that a rule can have. */
#define WHO_WORDS ((ACCESS_FORMAT_RULES + ACCESS_WHO_FIRST + 63) / 64)
#define SLOT_WORDS ((1u << ACCESS_NAME_SLOT_BITS_MAX) / 64)

/* ---- opening ---- */

static int
refuse_table(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "the compiled access rules are damaged");
}

/* The checksum vouches for all offsets in the arrays: the compiler made them. */
static bool
has_right_sum(struct bytes compiled)
{
    struct digest sum;

    digest_of(&sum, DIGEST_SHA256, bytes_after(compiled, ACCESS_HEADER_COUNTS));
    return sum.algo == DIGEST_SHA256 &&
           memcmp(sum.bytes, (const uint8_t *)compiled.p + ACCESS_HEADER_SUM, ACCESS_SUM_BYTES) ==
               0;
}

int
access_table_open(struct access_table *t, struct bytes compiled, struct err *err)
{
    const char magic[ACCESS_MAGIC_BYTES] = ACCESS_MAGIC;
    const uint8_t *p = compiled.p;
    uint64_t count[ACCESS_COUNT_NAMES + 1], sizes[6], total = ACCESS_HEADER_BYTES;

    *t = (struct access_table){.users_n = 0};
    if (compiled.n < ACCESS_HEADER_BYTES || memcmp(p, magic, sizeof magic) != 0 ||
        !has_right_sum(compiled))
        return refuse_table(err);
    for (size_t i = 0; i <= ACCESS_COUNT_NAMES; i++)
        count[i] = unpack_uint_at(p + ACCESS_HEADER_COUNTS + 4 * i, 4);
    if (count[ACCESS_COUNT_SLOT_BITS] > ACCESS_NAME_SLOT_BITS_MAX ||
        count[ACCESS_COUNT_WHO] > (uint64_t)64 * WHO_WORDS)
        return refuse_table(err);
    sizes[0] = count[ACCESS_COUNT_USERS] * ACCESS_USER_BYTES;
    sizes[1] = count[ACCESS_COUNT_WHOS] * 4;
    sizes[2] = count[ACCESS_COUNT_RULES] * ACCESS_RULE_BYTES;
    sizes[3] = ((UINT64_C(1) << count[ACCESS_COUNT_SLOT_BITS]) + 2) * 4;
    sizes[4] = count[ACCESS_COUNT_PATTERNS];
    sizes[5] = count[ACCESS_COUNT_NAMES];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        total += sizes[i];
    if (total != compiled.n)
        return refuse_table(err);
    t->users = p + ACCESS_HEADER_BYTES;
    t->whos = t->users + sizes[0];
    t->rules = t->whos + sizes[1];
    t->slots = t->rules + sizes[2];
    t->patterns = t->slots + sizes[3];
    t->names = t->patterns + sizes[4];
    t->users_n = (uint32_t)count[ACCESS_COUNT_USERS];
    t->rules_n = (uint32_t)count[ACCESS_COUNT_RULES];
    t->who_count = (uint32_t)count[ACCESS_COUNT_WHO];
    t->slot_bits = (unsigned)count[ACCESS_COUNT_SLOT_BITS];
    t->has_rules = count[ACCESS_COUNT_HAS_RULES] != 0;
    return 0;
}

bool
access_table_has_rules(const struct access_table *t)
{
    return t->has_rules;
}

/* ---- users ---- */

/* NULL: nothing is known of the user. */
static const uint8_t *
find_compiled_user(const struct access_table *t, struct bytes name)
{
    uint32_t low = 0, high = t->users_n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const uint8_t *u = t->users + (size_t)middle * ACCESS_USER_BYTES;
        int order = bytes_compare(name, bytes_of(t->names + unpack_u32_at(u + ACCESS_USER_NAME_AT),
                                                 unpack_u32_at(u + ACCESS_USER_NAME_N)));

        if (order == 0)
            return u;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool
access_table_user(const struct access_table *t, struct bytes name,
                  uint8_t stamp[ACCESS_STAMP_BYTES], uint64_t *expiry_s)
{
    const uint8_t *u = find_compiled_user(t, name);

    if (u == NULL || unpack_u32_at(u + ACCESS_USER_KNOWN) == 0)
        return false;
    memcpy(stamp, u + ACCESS_USER_STAMP, ACCESS_STAMP_BYTES);
    *expiry_s = unpack_uint_at(u + ACCESS_USER_EXPIRY, 8);
    return true;
}

/* ---- decisions ---- */

/* The set of WHO numbers (access_format.h) whose rules are for the user, a bit for each. */
struct applying {
    uint64_t who[WHO_WORDS]; /* of these, (who_count + 63) / 64 are set */
};

static void
mark_who(struct applying *a, uint32_t who)
{
    a->who[who / 64] |= UINT64_C(1) << (who % 64);
}

static bool
applies_to(const struct applying *a, uint32_t who)
{
    return (a->who[who / 64] >> (who % 64) & 1) != 0;
}

static void
find_applying(const struct access_table *t, struct bytes user, struct applying *a)
{
    const uint8_t *u = user.n > 0 ? find_compiled_user(t, user) : NULL;

    memset(a->who, 0, (t->who_count + 63) / 64 * sizeof *a->who);
    if (user.n > 0)
        mark_who(a, ACCESS_WHO_EVERY_USER);
    if (u != NULL) {
        const uint8_t *who = t->whos + (size_t)unpack_u32_at(u + ACCESS_USER_WHOS_AT) * 4;

        for (uint32_t n = unpack_u32_at(u + ACCESS_USER_WHOS_N); n > 0; n--, who += 4)
            mark_who(a, unpack_u32_at(who));
    }
}

/* A decision on its way: the best lines so far, with their rights. */
struct search {
    const struct access_table *t;
    const struct access_name *name;
    struct bytes user;
    struct applying applying;
    uint32_t line, anonymous_line; /* UINT32_MAX: none */
    unsigned rights, anonymous_rights;
};

static void
search_slot(struct search *s, uint32_t slot)
{
    const uint8_t *p = s->t->slots + (size_t)slot * 4;
    const uint8_t *rule = s->t->rules + (size_t)unpack_u32_at(p) * ACCESS_RULE_BYTES;
    const uint8_t *end = s->t->rules + (size_t)unpack_u32_at(p + 4) * ACCESS_RULE_BYTES;

    for (; rule < end; rule += ACCESS_RULE_BYTES) {
        uint32_t line = unpack_u32_at(rule + ACCESS_RULE_LINE);
        uint32_t who = unpack_u32_at(rule + ACCESS_RULE_WHO);
        bool anonymous = who == ACCESS_WHO_ANONYMOUS;

        if (line >= s->line && line >= s->anonymous_line)
            return; /* all others in the slot come later, too */
        if (line >= (anonymous ? s->anonymous_line : s->line) ||
            (!anonymous && !applies_to(&s->applying, who)) ||
            !access_pattern_match(s->t->patterns + unpack_u32_at(rule + ACCESS_RULE_PATTERN_AT),
                                  rule[ACCESS_RULE_PATTERN_N], s->name, s->user))
            continue;
        if (anonymous) {
            s->anonymous_line = line;
            s->anonymous_rights = rule[ACCESS_RULE_RIGHTS];
        } else {
            s->line = line;
            s->rights = rule[ACCESS_RULE_RIGHTS];
        }
    }
}

static void
search_rules(struct search *s)
{
    uint64_t seen[SLOT_WORDS];
    uint32_t slots[ACCESS_NAME_SLOTS_MAX], always = UINT32_C(1) << s->t->slot_bits;
    size_t n = access_name_slots(s->name, s->t->slot_bits, slots);

    memset(seen, 0, ((size_t)always + 63) / 64 * sizeof *seen);
    for (size_t i = 0; i < n; i++) {
        uint64_t bit = UINT64_C(1) << (slots[i] % 64);

        if ((seen[slots[i] / 64] & bit) == 0)
            search_slot(s, slots[i]);
        seen[slots[i] / 64] |= bit;
    }
    search_slot(s, always);
}

void
access_table_decide(const struct access_table *t, const char *user, const char *repository,
                    struct access_decision *d)
{
    struct access_name name;
    struct search s;

    *d = (struct access_decision){.rights = 0};
    if (!t->has_rules && user[0] != '\0')
        d->rights = RIGHT_ALL;
    if (!t->has_rules || !access_name_set(&name, repository))
        return;
    s.t = t;
    s.name = &name;
    s.user = bytes_str(user);
    s.line = s.anonymous_line = UINT32_MAX;
    s.rights = s.anonymous_rights = 0;
    find_applying(t, s.user, &s.applying);
    search_rules(&s);
    if (s.line != UINT32_MAX)
        d->line = s.line;
    if (s.anonymous_line != UINT32_MAX)
        d->anonymous_line = s.anonymous_line;
    d->rights = s.rights | s.anonymous_rights;
}

/* ---- all lines ---- */

unsigned
access_table_anywhere(const struct access_table *t, const char *user)
{
    struct applying a;
    unsigned rights = 0;

    if (!t->has_rules)
        return user[0] != '\0' ? RIGHT_ALL : 0;
    find_applying(t, bytes_str(user), &a);
    mark_who(&a, ACCESS_WHO_ANONYMOUS);
    for (uint32_t i = 0; i < t->rules_n && rights != RIGHT_ALL; i++) {
        const uint8_t *rule = t->rules + (size_t)i * ACCESS_RULE_BYTES;

        if (applies_to(&a, unpack_u32_at(rule + ACCESS_RULE_WHO)))
            rights |= rule[ACCESS_RULE_RIGHTS];
    }
    return rights;
}

static bool
is_pattern_of_all(const struct access_table *t, const uint8_t *rule)
{
    return rule[ACCESS_RULE_PATTERN_N] == 1 &&
           t->patterns[unpack_u32_at(rule + ACCESS_RULE_PATTERN_AT)] == ACCESS_PATH;
}

bool
access_table_everywhere(const struct access_table *t, const char *user, unsigned rights)
{
    uint32_t all = UINT32_MAX, lacks = UINT32_MAX; /* the first lines of each kind */
    struct applying a;

    if (!t->has_rules || user[0] == '\0')
        return !t->has_rules && user[0] != '\0';
    find_applying(t, bytes_str(user), &a);
    for (uint32_t i = 0; i < t->rules_n; i++) {
        const uint8_t *rule = t->rules + (size_t)i * ACCESS_RULE_BYTES;
        uint32_t line = unpack_u32_at(rule + ACCESS_RULE_LINE);

        if (!applies_to(&a, unpack_u32_at(rule + ACCESS_RULE_WHO)))
            continue;
        if ((rule[ACCESS_RULE_RIGHTS] & rights) != rights)
            lacks = line < lacks ? line : lacks;
        else if (is_pattern_of_all(t, rule))
            all = line < all ? line : all;
    }
    return all < lacks;
}

/* The greatest text that is less than all names that begin with `start`, as far as names go: they
 * have no byte 0x7f. */
static void
stand_in_front(char after[RECORD_REPOSITORY_MAX + 1], const char *start)
{
    size_t n = strlen(start);

    memcpy(after, start, n);
    after[n - 1]--;
    if (n < RECORD_REPOSITORY_MAX)
        after[n++] = 0x7f;
    after[n] = '\0';
}

bool
access_table_skip(const struct access_table *t, const char *user, unsigned rights,
                  char after[RECORD_REPOSITORY_MAX + 1])
{
    char start[RECORD_REPOSITORY_MAX + 1], next[RECORD_REPOSITORY_MAX + 1] = "";
    struct applying a;
    bool whole;

    find_applying(t, bytes_str(user), &a);
    mark_who(&a, ACCESS_WHO_ANONYMOUS);
    for (uint32_t i = 0; i < t->rules_n; i++) {
        const uint8_t *rule = t->rules + (size_t)i * ACCESS_RULE_BYTES;

        if ((rule[ACCESS_RULE_RIGHTS] & rights) == 0 ||
            !applies_to(&a, unpack_u32_at(rule + ACCESS_RULE_WHO)) ||
            !access_pattern_start(t->patterns + unpack_u32_at(rule + ACCESS_RULE_PATTERN_AT),
                                  rule[ACCESS_RULE_PATTERN_N], bytes_str(user), start, &whole))
            continue;
        if (!whole && strncmp(after, start, strlen(start)) == 0)
            return true;
        if (strcmp(after, start) < 0 && (next[0] == '\0' || strcmp(start, next) < 0))
            memcpy(next, start, sizeof next);
    }
    if (next[0] == '\0')
        return false;
    stand_in_front(after, next);
    return true;
}

static int
compare_access_lines(const void *a, const void *b)
{
    const struct access_line *x = a, *y = b;

    return (x->line > y->line) - (x->line < y->line);
}

struct access_line *
access_table_lines(const struct access_table *t, const char *user, size_t *n)
{
    struct access_line *v = mem_array(t->rules_n, sizeof *v);
    struct applying a;

    *n = 0;
    find_applying(t, bytes_str(user != NULL ? user : ""), &a);
    mark_who(&a, ACCESS_WHO_ANONYMOUS);
    for (uint32_t i = 0; i < t->rules_n; i++) {
        const uint8_t *rule = t->rules + (size_t)i * ACCESS_RULE_BYTES;

        if (user == NULL || applies_to(&a, unpack_u32_at(rule + ACCESS_RULE_WHO)))
            v[(*n)++] = (struct access_line){unpack_u32_at(rule + ACCESS_RULE_LINE),
                                             rule[ACCESS_RULE_RIGHTS]};
    }
    qsort(v, *n, sizeof *v, compare_access_lines);
    return v;
}
