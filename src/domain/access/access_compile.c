/* From the texts of the files to the bytes that access_table.c reads. */
#include "domain/access/access_format.h"
#include "domain/access/access_groups.h"
#include "domain/access/access_rules.h"
#include "domain/access/access_table.h"
#include "domain/access/access_text.h"
#include "domain/access/htpasswd.h"
#include "util/digest.h"
#include "util/mem.h"
#include "util/pack.h"

_Static_assert(ACCESS_STAMP_BYTES == ACCESS_USER_BYTES - ACCESS_USER_STAMP, "room of a stamp");

/* Something that is known of a user: a line in the password file, or that rules of this number are
 * for this user. */
struct fact {
    const char *name;
    uint32_t name_n;
    uint32_t who;    /* NO_WHO: a line */
    uint32_t line_n; /* the line begins with the name */
};

#define NO_WHO UINT32_MAX

struct compiler {
    struct access_rules rules;
    struct access_groups groups;
    struct bytes *whos; /* the words of rules that name users or groups, sorted, each once */
    size_t whos_n;
    struct fact *facts;
    size_t facts_n, facts_room;
    struct buf names, numbers, users; /* three of the arrays */
};

/* ---- who rules are for ---- */

static bool
names_somebody(struct bytes who)
{
    return !bytes_equal(who, bytes_str(ACCESS_ANONYMOUS)) &&
           !bytes_equal(who, bytes_str(ACCESS_EVERY_USER)) &&
           !bytes_equal(who, bytes_str(ACCESS_SAME_USER));
}

static void
collect_whos(struct compiler *c)
{
    size_t n = 0, all = 0;

    c->whos = mem_array(c->rules.n, sizeof *c->whos);
    for (size_t i = 0; i < c->rules.n; i++)
        if (names_somebody(c->rules.v[i].who))
            c->whos[all++] = c->rules.v[i].who;
    if (all > 0)
        qsort(c->whos, all, sizeof *c->whos, bytes_order);
    for (size_t i = 0; i < all; i++)
        if (n == 0 || !bytes_equal(c->whos[n - 1], c->whos[i]))
            c->whos[n++] = c->whos[i];
    c->whos_n = n;
}

/* NO_WHO: no rule names this one. {user} is everybody, since the pattern decides. */
static uint32_t
number_of_who(const struct compiler *c, struct bytes word)
{
    const struct bytes *found;

    if (bytes_equal(word, bytes_str(ACCESS_ANONYMOUS)))
        return ACCESS_WHO_ANONYMOUS;
    if (!names_somebody(word))
        return ACCESS_WHO_EVERY_USER;
    found = c->whos_n > 0 ? bsearch(&word, c->whos, c->whos_n, sizeof word, bytes_order) : NULL;
    return found != NULL ? (uint32_t)(found - c->whos) + ACCESS_WHO_FIRST : NO_WHO;
}

/* ---- users ---- */

static void
add_fact(struct compiler *c, struct bytes name, uint32_t who, size_t line_n)
{
    c->facts = mem_grow(c->facts, &c->facts_room, c->facts_n + 1, sizeof *c->facts);
    c->facts[c->facts_n++] = (struct fact){
        .name = name.p, .name_n = (uint32_t)name.n, .who = who, .line_n = (uint32_t)line_n};
}

static void
collect_members(struct compiler *c)
{
    struct bytes before = bytes_of(NULL, 0);
    uint32_t who = NO_WHO;
    struct buf word;

    buf_init(&word, ACCESS_GROUPS_MAX + 1);
    for (size_t i = 0; i < c->groups.members_n; i++) {
        const struct access_member *m = &c->groups.members[i];

        if (m->group.p != before.p) {
            buf_reset(&word);
            buf_putc(&word, '@');
            buf_put(&word, m->group.p, m->group.n);
            who = number_of_who(c, buf_bytes(&word));
            before = m->group;
        }
        if (who != NO_WHO)
            add_fact(c, m->user, who, 0);
    }
    buf_free(&word);
}

static void
collect_facts(struct compiler *c, struct bytes users)
{
    struct bytes line, name;

    while (htpasswd_next(&users, &line, &name))
        add_fact(c, name, NO_WHO, line.n);
    for (size_t i = 0; i < c->whos_n; i++)
        if (*(const char *)c->whos[i].p != '@')
            add_fact(c, c->whos[i], (uint32_t)i + ACCESS_WHO_FIRST, 0);
    collect_members(c);
}

/* By name; of a user, lines come last, in the order of the file. */
static int
compare_facts(const void *a, const void *b)
{
    const struct fact *x = a, *y = b;
    int order = bytes_compare(bytes_of(x->name, x->name_n), bytes_of(y->name, y->name_n));

    if (order == 0)
        order = (x->who > y->who) - (x->who < y->who);
    if (order == 0)
        order = (x->name > y->name) - (x->name < y->name);
    return order;
}

/* known: the user's line in the password file, or nothing. Returns false if the library of hashes
 * failed. */
static bool
put_compiled_user(struct compiler *c, struct bytes name, struct bytes known, size_t first_who)
{
    struct digest stamp = {.algo = DIGEST_SHA256};
    struct htpasswd_user user;

    htpasswd_parse(&user, known);
    if (known.n > 0)
        digest_of(&stamp, DIGEST_SHA256, known);
    pack_u32(&c->users, (uint32_t)c->names.n);
    pack_u32(&c->users, (uint32_t)name.n);
    pack_u32(&c->users, known.n > 0);
    pack_u32(&c->users, (uint32_t)first_who);
    pack_u32(&c->users, (uint32_t)(c->numbers.n / 4 - first_who));
    pack_u64(&c->users, user.expiry_s);
    buf_put(&c->users, stamp.bytes, ACCESS_STAMP_BYTES);
    buf_put(&c->names, name.p, name.n);
    return stamp.algo == DIGEST_SHA256;
}

static int
compile_users(struct compiler *c, struct err *err)
{
    size_t next;

    if (c->facts_n > 0)
        qsort(c->facts, c->facts_n, sizeof *c->facts, compare_facts);
    for (size_t i = 0; i < c->facts_n; i = next) {
        struct bytes name = bytes_of(c->facts[i].name, c->facts[i].name_n), known = {NULL, 0};
        size_t first_who = c->numbers.n / 4;

        for (next = i; next < c->facts_n; next++) {
            const struct fact *f = &c->facts[next];

            if (!bytes_equal(name, bytes_of(f->name, f->name_n)))
                break;
            if (f->who != NO_WHO && (next == i || f[-1].who != f->who))
                pack_u32(&c->numbers, f->who);
            else if (f->who == NO_WHO && known.n == 0)
                known = bytes_of(f->name, f->line_n);
        }
        if (!put_compiled_user(c, name, known, first_who))
            return err_set(err, ERR_SYSTEM, "the users can't be hashed");
    }
    return 0;
}

/* ---- rules ---- */

struct placed_rule {
    uint32_t slot, rule;
};

static int
compare_placed_rules(const void *a, const void *b)
{
    const struct placed_rule *x = a, *y = b;
    int order = (x->slot > y->slot) - (x->slot < y->slot);

    return order != 0 ? order : (x->rule > y->rule) - (x->rule < y->rule);
}

static unsigned
slot_bits_for(size_t rules)
{
    unsigned bits = 1;

    while (bits < ACCESS_NAME_SLOT_BITS_MAX && (size_t)1 << bits < rules)
        bits++;
    return bits;
}

/* Puts each rule into one of the slots of its pattern: into the one that the fewest patterns have,
 * so that a name finds few rules that don't match. */
static void
place_rules(const struct access_rules *rules, unsigned bits, struct placed_rule *placed)
{
    uint32_t slots[ACCESS_NAME_SLOTS_MAX];
    uint32_t *uses = mem_array((size_t)1 << bits, sizeof *uses);

    for (size_t i = 0; i < rules->n; i++) {
        const struct access_rule *rule = &rules->v[i];
        size_t n = access_pattern_slots((const uint8_t *)rules->patterns.p + rule->pattern_at,
                                        rule->pattern_n, bits, slots);

        for (size_t k = 0; k < n; k++)
            uses[slots[k]]++;
    }
    for (size_t i = 0; i < rules->n; i++) {
        const struct access_rule *rule = &rules->v[i];
        size_t n = access_pattern_slots((const uint8_t *)rules->patterns.p + rule->pattern_at,
                                        rule->pattern_n, bits, slots);
        uint32_t best = n > 0 ? slots[0] : UINT32_C(1) << bits;

        for (size_t k = 1; k < n; k++)
            if (uses[slots[k]] < uses[best])
                best = slots[k];
        placed[i] = (struct placed_rule){best, (uint32_t)i};
    }
    free(uses);
    if (rules->n > 0)
        qsort(placed, rules->n, sizeof *placed, compare_placed_rules);
}

static void
put_compiled_rules(const struct compiler *c, unsigned bits, struct buf *out)
{
    const struct access_rules *rules = &c->rules;
    struct placed_rule *placed = mem_array(rules->n, sizeof *placed);
    size_t at = 0;

    place_rules(rules, bits, placed);
    for (size_t i = 0; i < rules->n; i++) {
        const struct access_rule *rule = &rules->v[placed[i].rule];

        pack_u32(out, rule->line);
        pack_u32(out, number_of_who(c, rule->who));
        pack_u32(out, rule->pattern_at);
        pack_u8(out, (uint8_t)rule->pattern_n);
        pack_u8(out, (uint8_t)rule->rights);
        pack_u8(out, 0);
        pack_u8(out, 0);
    }
    for (uint32_t slot = 0; slot <= UINT32_C(1) << bits; slot++) {
        while (at < rules->n && placed[at].slot < slot)
            at++;
        pack_u32(out, (uint32_t)at);
    }
    pack_u32(out, (uint32_t)rules->n);
    free(placed);
}

/* ---- the whole ---- */

static int
put_compiled_table(const struct compiler *c, bool has_rules, struct buf *out, struct err *err)
{
    unsigned bits = slot_bits_for(c->rules.n);
    const char magic[ACCESS_MAGIC_BYTES] = ACCESS_MAGIC;
    const uint8_t no_sum[ACCESS_SUM_BYTES] = {0};
    struct digest sum;

    buf_put(out, magic, sizeof magic);
    buf_put(out, no_sum, sizeof no_sum);
    pack_u32(out, has_rules);
    pack_u32(out, (uint32_t)c->whos_n + ACCESS_WHO_FIRST);
    pack_u32(out, bits);
    pack_u32(out, (uint32_t)(c->users.n / ACCESS_USER_BYTES));
    pack_u32(out, (uint32_t)(c->numbers.n / 4));
    pack_u32(out, (uint32_t)c->rules.n);
    pack_u32(out, (uint32_t)c->rules.patterns.n);
    pack_u32(out, (uint32_t)c->names.n);
    buf_put(out, c->users.p, c->users.n);
    buf_put(out, c->numbers.p, c->numbers.n);
    put_compiled_rules(c, bits, out);
    buf_put(out, c->rules.patterns.p, c->rules.patterns.n);
    buf_put(out, c->names.p, c->names.n);
    if (!buf_ok(out) || !buf_ok(&c->users) || !buf_ok(&c->numbers) || !buf_ok(&c->names))
        return err_set(err, ERR_TOO_LARGE, "there are too many users");
    digest_of(&sum, DIGEST_SHA256, bytes_after(buf_bytes(out), ACCESS_HEADER_COUNTS));
    if (sum.algo != DIGEST_SHA256)
        return err_set(err, ERR_SYSTEM, "the access rules can't be hashed");
    memcpy(out->p + ACCESS_HEADER_SUM, sum.bytes, ACCESS_SUM_BYTES);
    return 0;
}

int
access_table_compile(const struct access_sources *s, struct buf *out, struct err *err)
{
    struct compiler c = {.whos_n = 0};
    struct bytes rules = s->has_rules ? s->rules : bytes_of("", 0);
    int rc;

    if (s->users.n > ACCESS_USERS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s has more than %u bytes", HTPASSWD_RUN,
                       ACCESS_USERS_MAX);
    buf_init(&c.names, out->max);
    buf_init(&c.numbers, out->max);
    buf_init(&c.users, out->max);
    rc = access_groups_parse(&c.groups, s->groups, err);
    if (rc == 0)
        rc = access_rules_parse(&c.rules, rules, s->rules_name, &c.groups, err);
    if (rc == 0) {
        collect_whos(&c);
        collect_facts(&c, s->users);
        rc = compile_users(&c, err);
    }
    if (rc == 0)
        rc = put_compiled_table(&c, s->has_rules, out, err);
    access_groups_free(&c.groups);
    access_rules_free(&c.rules);
    buf_free(&c.names);
    buf_free(&c.numbers);
    buf_free(&c.users);
    free(c.whos);
    free(c.facts);
    return rc;
}
