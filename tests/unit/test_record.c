#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "storage/tables/record.h"
#include "util/hex.h"

/* One record of each kind, and the same code for all of them: what is encoded, decoded and encoded
 * again gives the same bytes. */

static struct digest
make_digest(enum digest_algo algo)
{
    struct digest d = {.algo = algo};

    for (size_t i = 0; i < digest_size(algo); i++)
        d.bytes[i] = (uint8_t)((i % 16) * 0x11);
    return d;
}

static void
fill(char *out, size_t n)
{
    memset(out, 'x', n);
    out[n] = '\0';
}

static void
make_repo(union record_any *r)
{
    r->repo = (struct rec_repo){.id = 7, .created = 1, .updated = UINT64_MAX, .emptied = true};
}

static void
make_repo_name(union record_any *r)
{
    fill(r->repo_name.name, RECORD_REPOSITORY_MAX);
}

static void
make_upload(union record_any *r)
{
    r->upload = (struct rec_upload){
        .repo = 3, .started = 1700000000000, .user = "alice", .repository = "a/b"};
}

static void
make_quota(union record_any *r)
{
    r->quota = (struct rec_quota){.pattern = "team/**", .limit = 200, .used = 100, .counted = true};
}

static void
make_pull(union record_any *r)
{
    r->pull = (struct rec_pull){.last = 1700000000000};
}

static void
make_tag(union record_any *r)
{
    r->tag = (struct rec_tag){.target = make_digest(DIGEST_SHA256), .updated = 5, .by = "bob"};
}

static void
make_tag_log(union record_any *r)
{
    r->tag_log = (struct rec_tag_log){
        .before = {.algo = DIGEST_NONE}, .after = make_digest(DIGEST_SHA512), .time = 9, .by = ""};
}

static void
make_image(union record_any *r)
{
    r->image = (struct rec_image){.state = IMAGE_COMPLETE,
                                  .parent = make_digest(DIGEST_V1_ID),
                                  .layer = make_digest(DIGEST_SHA256),
                                  .checksum = {.algo = DIGEST_NONE},
                                  .created = 11,
                                  .leased_until = 13,
                                  .by = "bob"};
}

static void
make_manifest(union record_any *r)
{
    r->manifest = (struct rec_manifest){.size = 1234, .pushed = 5678};
    fill(r->manifest.media_type, RECORD_TYPE_MAX);
}

static void
make_trash(union record_any *r)
{
    make_manifest(r);
    struct rec_manifest m = r->manifest;
    r->trash = (struct rec_trash){.until = 1700000000000, .manifest = m};
}

static void
make_blob(union record_any *r)
{
    r->blob = (struct rec_blob){.size = 1ull << 40, .instance = 0xfedcba9876543210};
}

static void
make_event(union record_any *r)
{
    struct rec_event *e = &r->event;

    *e = (struct rec_event){.type = EVENT_DELETE, .time = 1700000000000};
    e->id = e->digest = e->old = make_digest(DIGEST_SHA512);
    fill(e->repository, RECORD_REPOSITORY_MAX);
    fill(e->tag, RECORD_TAG_MAX);
    fill(e->media_type, RECORD_TYPE_MAX);
    fill(e->actor, RECORD_ACTOR_MAX);
}

static void
make_job(union record_any *r)
{
    r->job = (struct rec_job){.tries = 0xdeadbeef, .instance = 42};
}

static void
make_hook(union record_any *r)
{
    make_event(r);
    struct rec_event e = r->event;
    r->hook = (struct rec_hook){.tries = 3, .due = 1700000000000, .event = e};
    fill(r->hook.line, RECORD_HOOK_LINE_MAX);
}

static void
make_number(union record_any *r)
{
    r->number.value = 258;
}

static const struct kind {
    const char *name;
    void (*make)(union record_any *r);
    const struct record *record;
} kinds[] = {
    {"repo", make_repo, &record_repo},
    {"upload", make_upload, &record_upload},
    {"tag", make_tag, &record_tag},
    {"tag_log", make_tag_log, &record_tag_log},
    {"image", make_image, &record_image},
    {"manifest", make_manifest, &record_manifest},
    {"blob", make_blob, &record_blob},
    {"event", make_event, &record_event},
    {"job", make_job, &record_job},
    {"hook", make_hook, &record_hook},
    {"meta", make_number, &record_meta},
    {"tally", make_number, &record_tally},
    {"repo_name", make_repo_name, &record_repo_name},
    {"trash", make_trash, &record_trash},
    {"pull", make_pull, &record_pull},
    {"quota", make_quota, &record_quota},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static struct buf
encoded(const struct kind *k, const union record_any *r)
{
    struct buf b;

    buf_init(&b, 4096);
    record_encode(&b, k->record, r);
    assert_true(buf_ok(&b));
    return b;
}

/* Decodes bytes that end where the heap block ends, so that a sanitizer sees what reads on. */
static int
decode_exact(const struct kind *k, union record_any *r, struct bytes in, struct err *err)
{
    char *copy = malloc(in.n > 0 ? in.n : 1);
    int rc;

    assert_non_null(copy);
    if (in.n > 0)
        memcpy(copy, in.p, in.n);
    rc = record_decode(k->record, r, bytes_of(copy, in.n), err);
    free(copy);
    return rc;
}

static void
every_record_comes_back_as_it_was_stored(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        union record_any made, got;
        struct err err;

        memset(&made, 0, sizeof made);
        memset(&got, 0xaa, sizeof got);
        kinds[i].make(&made);
        struct buf one = encoded(&kinds[i], &made);
        assert_int_equal(record_decode(kinds[i].record, &got, buf_bytes(&one), &err), 0);
        struct buf two = encoded(&kinds[i], &got);
        assert_true(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
        buf_free(&one);
        buf_free(&two);
    }
}

static void
the_fields_are_those_that_were_stored(void **state)
{
    (void)state;
    union record_any made = {0}, got;
    struct err err;
    struct buf b;

    make_image(&made);
    b = encoded(&kinds[4], &made);
    assert_int_equal(record_decode(&record_image, &got.image, buf_bytes(&b), &err), 0);
    assert_int_equal(got.image.state, IMAGE_COMPLETE);
    assert_true(digest_equal(&got.image.parent, &made.image.parent));
    assert_true(digest_equal(&got.image.layer, &made.image.layer));
    assert_int_equal(got.image.checksum.algo, DIGEST_NONE);
    assert_int_equal(got.image.created, 11);
    assert_int_equal(got.image.leased_until, 13);
    assert_string_equal(got.image.by, "bob");
    buf_free(&b);

    make_event(&made);
    b = encoded(&kinds[7], &made);
    assert_int_equal(record_decode(&record_event, &got.event, buf_bytes(&b), &err), 0);
    assert_int_equal(got.event.type, EVENT_DELETE);
    assert_int_equal(got.event.time, 1700000000000);
    assert_string_equal(got.event.repository, made.event.repository);
    assert_string_equal(got.event.tag, made.event.tag);
    assert_string_equal(got.event.media_type, made.event.media_type);
    assert_string_equal(got.event.actor, made.event.actor);
    assert_true(digest_equal(&got.event.old, &made.event.old));
    buf_free(&b);

    make_job(&made);
    b = encoded(&kinds[8], &made);
    assert_int_equal(record_decode(&record_job, &got.job, buf_bytes(&b), &err), 0);
    assert_int_equal(got.job.tries, 0xdeadbeef);
    assert_int_equal(got.job.instance, 42);
    assert_string_equal(got.job.repository, "");
    buf_free(&b);

    fill(made.job.repository, RECORD_REPOSITORY_MAX);
    fill(made.job.by, RECORD_ACTOR_MAX);
    b = encoded(&kinds[8], &made);
    assert_int_equal(record_decode(&record_job, &got.job, buf_bytes(&b), &err), 0);
    assert_int_equal(got.job.tries, 0xdeadbeef);
    assert_string_equal(got.job.repository, made.job.repository);
    assert_string_equal(got.job.by, made.job.by);
    buf_free(&b);
}

static void
the_longest_event_fits_the_queue(void **state)
{
    (void)state;
    union record_any r;
    make_event(&r);
    struct buf b = encoded(&kinds[7], &r);
    assert_in_range(b.n, 900, TABLES_EVENT_MAX);
    buf_free(&b);
}

static void
a_record_that_is_cut_anywhere_is_corrupt(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        union record_any r;
        kinds[i].make(&r);
        struct buf b = encoded(&kinds[i], &r);
        for (size_t n = 0; n < b.n; n++) {
            struct err err = {.code = ERR_NONE};
            union record_any got;
            assert_int_equal(decode_exact(&kinds[i], &got, bytes_of(b.p, n), &err), -1);
            assert_int_equal(err.code, ERR_CORRUPT);
            assert_non_null(strstr(err.message, kinds[i].name));
        }
        buf_free(&b);
    }
}

static void
a_byte_too_many_is_corrupt(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        union record_any r, got;
        struct err err = {.code = ERR_NONE};
        kinds[i].make(&r);
        struct buf b = encoded(&kinds[i], &r);
        buf_putc(&b, '\0');
        assert_int_equal(decode_exact(&kinds[i], &got, buf_bytes(&b), &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        buf_free(&b);
    }
}

static void
another_version_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        union record_any r, got;
        struct err err = {.code = ERR_NONE};
        kinds[i].make(&r);
        struct buf b = encoded(&kinds[i], &r);
        char own = b.p[0];
        assert_in_range(own, 1, 3);
        for (int version = 0; version < 256; version++) {
            if (version == own)
                continue;
            b.p[0] = (char)version;
            assert_int_equal(record_decode(kinds[i].record, &got, buf_bytes(&b), &err), -1);
            assert_int_equal(err.code, ERR_CORRUPT);
        }
        buf_free(&b);
    }
}

static void
a_field_that_an_older_record_lacks_is_zero(void **state)
{
    (void)state;
    static const char repo[] = "\1\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2";
    static const char upload[] = "\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4\0\1u";
    static const char manifest[] = "\2\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6\0\1m\0\1a\0\0\0\1";
    struct rec_manifest m;
    struct rec_upload u;
    struct rec_repo r;
    struct err err;

    memset(&r, 0xff, sizeof r);
    memset(&u, 0xff, sizeof u);
    assert_int_equal(record_decode(&record_repo, &r, bytes_of(repo, sizeof repo - 1), &err), 0);
    assert_int_equal(r.id, 7);
    assert_int_equal(r.updated, 2);
    assert_false(r.emptied);
    assert_int_equal(record_decode(&record_upload, &u, bytes_of(upload, sizeof upload - 1), &err),
                     0);
    assert_int_equal(u.repo, 3);
    assert_string_equal(u.user, "u");
    assert_string_equal(u.repository, "");
    memset(&m, 0xff, sizeof m);
    assert_int_equal(
        record_decode(&record_manifest, &m, bytes_of(manifest, sizeof manifest - 1), &err), 0);
    assert_int_equal(m.pushed, 6);
    assert_string_equal(m.artifact_type, "a");
    assert_true(m.pushed_too);
    assert_int_equal(m.untagged, 0);
}

static void
an_image_may_say_why_it_has_no_manifest(void **state)
{
    (void)state;
    union record_any r = {0}, got;
    struct err err;
    struct buf b;

    make_image(&r);
    fill(r.image.unconvertible, RECORD_IMAGE_WHY_MAX);
    b = encoded(&kinds[4], &r);
    assert_int_equal(decode_exact(&kinds[4], &got, buf_bytes(&b), &err), 0);
    assert_string_equal(got.image.unconvertible, r.image.unconvertible);
    assert_string_equal(got.image.by, "bob");
    buf_free(&b);

    make_image(&r);
    b = encoded(&kinds[4], &r);
    fill(got.image.unconvertible, 5);
    assert_int_equal(record_decode(&record_image, &got.image, buf_bytes(&b), &err), 0);
    assert_string_equal(got.image.unconvertible, "");
    buf_free(&b);
}

static void
a_manifest_knows_of_which_image_it_was_made_and_what_it_is_called(void **state)
{
    (void)state;
    union record_any r = {0}, got;
    struct err err;
    struct buf b;

    make_manifest(&r);
    r.manifest.id = make_digest(DIGEST_SHA512);
    r.manifest.made_from = make_digest(DIGEST_V1_ID);
    r.manifest.pushed_too = true;
    b = encoded(&kinds[5], &r);
    assert_int_equal(decode_exact(&kinds[5], &got, buf_bytes(&b), &err), 0);
    assert_true(digest_equal(&got.manifest.id, &r.manifest.id));
    assert_true(digest_equal(&got.manifest.made_from, &r.manifest.made_from));
    assert_true(got.manifest.pushed_too);
    assert_int_equal(got.manifest.size, 1234);

    b.p[b.n - 9] = 2;
    assert_int_equal(decode_exact(&kinds[5], &got, buf_bytes(&b), &err), -1);
    b.p[b.n - 9] = 0;
    assert_int_equal(decode_exact(&kinds[5], &got, buf_bytes(&b), &err), 0);
    assert_false(got.manifest.pushed_too);
    b.p[b.n - 9 - 33] = DIGEST_SHA256; /* made_from: not of a v1 image */
    assert_int_equal(decode_exact(&kinds[5], &got, buf_bytes(&b), &err), -1);
    buf_free(&b);

    make_manifest(&r);
    b = encoded(&kinds[5], &r);
    assert_int_equal(record_decode(&record_manifest, &got.manifest, buf_bytes(&b), &err), 0);
    assert_int_equal(got.manifest.made_from.algo, DIGEST_NONE);
    assert_false(got.manifest.pushed_too);
    buf_free(&b);
}

/* Each of these is a valid record but for the byte that is changed. */
static void
what_no_field_can_hold_is_corrupt(void **state)
{
    (void)state;
    union record_any r = {0}, got;
    struct err err;
    struct buf b;

    make_upload(&r);
    b = encoded(&kinds[1], &r);
    b.p[b.n - 1] = '\0'; /* a NUL within a text */
    assert_int_equal(record_decode(kinds[1].record, &got, buf_bytes(&b), &err), -1);
    buf_free(&b);

    for (int algo = 0; algo < 256; algo++) { /* a digest without bytes: only of none */
        buf_init(&b, 100);
        buf_put(&b, "\1", 1);
        buf_putc(&b, (char)algo);
        buf_put(&b, "\0\0\0\0\0\0\0\0\5\0", 11);
        assert_int_equal(record_decode(kinds[2].record, &got, buf_bytes(&b), &err),
                         algo == DIGEST_NONE ? 0 : -1);
        buf_free(&b);
    }

    make_image(&r);
    b = encoded(&kinds[4], &r);
    for (int state_byte = 0; state_byte < 256; state_byte++) {
        b.p[1] = (char)state_byte;
        assert_int_equal(record_decode(kinds[4].record, &got, buf_bytes(&b), &err),
                         state_byte >= IMAGE_JSON && state_byte <= IMAGE_MISMATCHED ? 0 : -1);
    }
    buf_free(&b);

    make_event(&r);
    b = encoded(&kinds[7], &r);
    for (int type = 0; type < 256; type++) {
        b.p[1] = (char)type;
        assert_int_equal(record_decode(kinds[7].record, &got, buf_bytes(&b), &err),
                         type >= EVENT_IMAGE && type <= EVENT_LAST ? 0 : -1);
    }
    buf_free(&b);
}

static void
a_text_that_is_too_long_for_its_field_is_corrupt(void **state)
{
    (void)state;
    struct rec_upload got;
    struct err err;
    struct buf b;

    for (size_t n = RECORD_ACTOR_MAX; n <= RECORD_ACTOR_MAX + 1; n++) {
        buf_init(&b, 4096);
        buf_put(&b, "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0", 18);
        buf_putc(&b, (char)n);
        for (size_t i = 0; i < n; i++)
            buf_putc(&b, 'u');
        assert_int_equal(record_decode(&record_upload, &got, buf_bytes(&b), &err),
                         n <= RECORD_ACTOR_MAX ? 0 : -1);
        buf_free(&b);
    }
}

/* xorshift, so that it is the same everywhere. */
static uint32_t
next_random(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static void
random_bytes_are_never_read_beyond_their_end(void **state)
{
    (void)state;
    uint32_t seed = 20140612;
    uint8_t bytes[300];
    unsigned good = 0;

    for (int i = 0; i < 20000; i++) {
        const struct kind *k = &kinds[next_random(&seed) % KINDS];
        size_t n = next_random(&seed) % sizeof bytes;
        union record_any got;
        struct err err;

        if (i % 2 == 0) { /* noise behind a good version */
            for (size_t j = 0; j < n; j++)
                bytes[j] = (uint8_t)(next_random(&seed) % 4 == 0 ? next_random(&seed) : 0);
            union record_any r;
            k->make(&r);
            struct buf b = encoded(k, &r);
            bytes[0] = (uint8_t)b.p[0];
            buf_free(&b);
        } else { /* a record with a byte or two changed */
            union record_any r;
            k->make(&r);
            struct buf b = encoded(k, &r);
            n = b.n < sizeof bytes ? b.n : sizeof bytes;
            memcpy(bytes, b.p, n);
            buf_free(&b);
            bytes[next_random(&seed) % n] = (uint8_t)next_random(&seed);
            bytes[next_random(&seed) % n] ^= 1;
        }
        if (decode_exact(k, &got, bytes_of(bytes, n), &err) == 0) {
            struct buf b = encoded(k, &got); /* whatever was accepted can be stored again */
            assert_true(bytes_equal(buf_bytes(&b), bytes_of(bytes, n)));
            buf_free(&b);
            good++;
        }
    }
    assert_in_range(good, 100, 19000);
}

/* The bytes on disk are final: a change here needs a new version, and a reader for this one. Blanks
 * in what is expected stand between the fields, D for the sixteen bytes of which digests are made.
 */
static void
expect_bytes(const struct kind *k, const union record_any *r, const char *fields)
{
    struct buf b = encoded(k, r), hex;
    char got[2 * 300 + 1];

    assert_true(b.n <= 300);
    hex_encode(got, b.p, b.n);
    buf_init(&hex, 1000);
    for (; *fields != '\0'; fields++)
        if (*fields == 'D')
            buf_puts(&hex, "00112233445566778899aabbccddeeff");
        else if (*fields != ' ')
            buf_putc(&hex, *fields);
    assert_string_equal(got, buf_text(&hex));
    buf_free(&hex);
    buf_free(&b);
}

static void
the_bytes_on_disk_stay_what_they_are(void **state)
{
    (void)state;
    union record_any r = {0};

    make_repo(&r);
    expect_bytes(&kinds[0], &r, "02 0000000000000007 0000000000000001 ffffffffffffffff 01");
    make_upload(&r);
    expect_bytes(&kinds[1], &r, "02 0000000000000003 0000018bcfe56800 0005 616c696365 0003 612f62");
    make_tag(&r);
    expect_bytes(&kinds[2], &r, "01 01DD 00 0000000000000005 0003 626f62");
    make_tag_log(&r);
    expect_bytes(&kinds[3], &r, "01 00 02DDDD 0000000000000009 0000");
    make_image(&r);
    expect_bytes(&kinds[4], &r,
                 "01 03 03DD 01DD 00 000000000000000b 000000000000000d 0003 626f62 0000");
    r.manifest = (struct rec_manifest){
        .size = 1234, .pushed = 5678, .media_type = "a/b", .artifact_type = "c/d"};
    expect_bytes(&kinds[5], &r,
                 "03 00000000000004d2 000000000000162e 0003 612f62 0003 632f64 00 00 00 00 "
                 "0000000000000000");
    make_blob(&r);
    expect_bytes(&kinds[6], &r, "01 0000010000000000 fedcba9876543210 0000000000000000");
    r.event = (struct rec_event){.type = EVENT_TAG,
                                 .time = 1,
                                 .id = make_digest(DIGEST_SHA256),
                                 .repository = "r",
                                 .tag = "t",
                                 .media_type = "a/b",
                                 .actor = "u"};
    expect_bytes(&kinds[7], &r,
                 "01 04 0000000000000001 01DD 00 00 0001 72 0001 74 0003 612f62 0001 75");
    make_job(&r);
    expect_bytes(&kinds[8], &r, "01 deadbeef 000000000000002a 0000 0000");
    r.trash = (struct rec_trash){.until = 258,
                                 .manifest = {.size = 1234, .pushed = 5678, .media_type = "a/b"}};
    expect_bytes(&kinds[13], &r,
                 "01 0000000000000102 00000000000004d2 000000000000162e 0003 612f62 0000 00 00 00 "
                 "00 0000000000000000");
    make_number(&r);
    expect_bytes(&kinds[10], &r, "01 0000000000000102");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_comes_back_as_it_was_stored),
        cmocka_unit_test(the_fields_are_those_that_were_stored),
        cmocka_unit_test(the_longest_event_fits_the_queue),
        cmocka_unit_test(a_record_that_is_cut_anywhere_is_corrupt),
        cmocka_unit_test(a_byte_too_many_is_corrupt),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(a_field_that_an_older_record_lacks_is_zero),
        cmocka_unit_test(an_image_may_say_why_it_has_no_manifest),
        cmocka_unit_test(a_manifest_knows_of_which_image_it_was_made_and_what_it_is_called),
        cmocka_unit_test(what_no_field_can_hold_is_corrupt),
        cmocka_unit_test(a_text_that_is_too_long_for_its_field_is_corrupt),
        cmocka_unit_test(random_bytes_are_never_read_beyond_their_end),
        cmocka_unit_test(the_bytes_on_disk_stay_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
