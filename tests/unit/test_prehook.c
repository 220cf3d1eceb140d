#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/core/delete.h"
#include "domain/events/hook_output.h"
#include "domain/events/prehook.h"
#include "domain/core/pull.h"
#include "store_fixture.h"
#include "util/clock.h"
#include "util/fdio.h"

static struct hooks hooks;

static int
set_up(void **state)
{
    struct fixture *f;

    if (fixture_store(state) != 0)
        return -1;
    f = *state;
    hooks = (struct hooks){.dirfd = f->reg.dirfd, .dir = "./hooks"};
    f->reg.hooks = &hooks;
    f->reg.pre_hook_timeout_ms = 60000;
    return 0;
}

/* ---- what it says goes to stdout ---- */

static int kept = -1;

static void
catch_stdout(void)
{
    int file = open("said", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

    fflush(stdout);
    kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_true(kept >= 0 && file >= 0);
    dup2(file, STDOUT_FILENO);
    close(file);
}

static const char *
caught(struct fixture *f)
{
    struct buf b;
    const char *text;

    dup2(kept, STDOUT_FILENO);
    close(kept);
    b = fixture_read(f, "said");
    text = arena_strdup(&f->arena, buf_text(&b));
    buf_free(&b);
    return text;
}

static struct rec_event
event(void)
{
    struct rec_event e = {.type = EVENT_TAG,
                          .id = fixture_digest("id"),
                          .digest = fixture_digest("manifest"),
                          .repository = "a/b",
                          .tag = "v1"};

    return e;
}

static size_t
descriptors(struct fixture *f)
{
    return (size_t)fixture_entries(f, "../../proc/self/fd");
}

/* Asks a script; nothing may be left of it. */
static int
ask(struct fixture *f, const char *script, struct bytes document, const char **said)
{
    struct rec_event e = event();
    size_t before = descriptors(f);
    int rc;

    hooks.scripts[HOOK_PRE_TAG] = script;
    assert_int_equal(prehook_find(&f->reg, HOOK_PRE_TAG, &f->err), 1);
    catch_stdout();
    rc = prehook_ask(&f->reg, HOOK_PRE_TAG, &e, document, &f->arena, &f->err);
    *said = caught(f);
    assert_int_equal(descriptors(f), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    return rc;
}

static int
ask_it(struct fixture *f, const char *script)
{
    const char *said;

    return ask(f, script, bytes_str("{}"), &said);
}

/* ---- what it decides ---- */

static void
without_one_nothing_is_asked(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(prehook_find(&f->reg, HOOK_PRE_TAG, &f->err), 0);
    f->reg.hooks = NULL;
    assert_int_equal(prehook_find(&f->reg, HOOK_PRE_TAG, &f->err), 0);
}

static void
one_that_cannot_run_refuses(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir("hooks", 0755), 0);
    OK(f,
       fdio_replace_file(f->reg.dirfd, "hooks/pre-tag", 0755, bytes_str("#!/no/shell\n"), &f->err));
    hooks.quiet = true;
    REFUSED(f, prehook_find(&f->reg, HOOK_PRE_TAG, &f->err), ERR_DENIED);
    assert_non_null(strstr(f->err.message, "pre-tag"));
}

static void
the_exit_code_decides_and_the_last_line_is_the_message(void **state)
{
    static const struct {
        const char *script;
        const char *message;
    } cases[] = {
        {"echo first; echo 'not this one'; exit 1", "not this one"},
        {"echo out; echo 'on stderr' >&2; exit 7", "on stderr"},
        {"echo 'the last that says something'; echo; echo; exit 1", "the last that says something"},
        {"printf 'without an end'; exit 1", "without an end"},
        {"printf 'a\\tb\\033[31mc\\r\\001\\n'; exit 1", "a b?[31mc??"},
        {"printf 'Pr\\303\\274fung \\374\\n'; exit 1", "Pr\303\274fung ?"},
        {"exit 3", "refused by the hook pre-tag (exit code 3)"},
        {"kill -9 $$", "the hook pre-tag died of signal 9"},
        {"nonsense-that-is-no-command 2>/dev/null", "refused by the hook pre-tag (exit code 127)"},
    };
    struct fixture *f = *state;

    OK(f, ask_it(f, "echo refused; exit 0"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        REFUSED(f, ask_it(f, cases[i].script), ERR_DENIED);
        assert_string_equal(f->err.message, cases[i].message);
    }
}

static void
what_it_says_is_in_the_log(void **state)
{
    struct fixture *f = *state;
    struct rec_event e = event();
    char id[DIGEST_TEXT_MAX];
    const char *said, *want;

    OK(f, ask(f, "echo one; echo; echo \"$0 $2\" >&2; printf end", bytes_str("{}"), &said));
    digest_hex(id, &e.id);
    want = arena_printf(&f->arena,
                        "%.12s - executing ./hooks/pre-tag %s a/b:v1\n"
                        "%.12s - ./hooks/pre-tag: one\n"
                        "%.12s - ./hooks/pre-tag: \n"
                        "%.12s - ./hooks/pre-tag: pre-tag a/b:v1\n"
                        "%.12s - ./hooks/pre-tag: end\n",
                        id, id, id, id, id, id);
    assert_string_equal(said, want);
}

static void
the_document_is_its_stdin(void **state)
{
    struct fixture *f = *state;
    char *document = fixture_bytes(4u << 20, 1), hex[DIGEST_TEXT_MAX];
    struct digest d;
    const char *said;

    digest_of(&d, DIGEST_SHA256, bytes_of(document, 4u << 20));
    digest_hex(hex, &d);
    REFUSED(f, ask(f, "sha256sum | cut -c1-64; exit 1", bytes_of(document, 4u << 20), &said),
            ERR_DENIED);
    assert_string_equal(f->err.message, hex);
    /* A hook may leave its input unread, or read only some of it. */
    OK(f, ask(f, "exit 0", bytes_of(document, 4u << 20), &said));
    OK(f, ask(f, "head -c 10 >/dev/null", bytes_of(document, 4u << 20), &said));
    free(document);
}

/* ---- what it does besides ---- */

static void
one_that_hangs_is_killed_with_its_children_and_refuses(void **state)
{
    struct fixture *f = *state;
    uint64_t before = clock_mono_ms();

    f->reg.pre_hook_timeout_ms = 300;
    REFUSED(f, ask_it(f, "sleep 301 & echo $! >pid; trap '' TERM; sleep 302"), ERR_DENIED);
    assert_non_null(strstr(f->err.message, "the hook pre-tag took longer than"));
    assert_true(clock_mono_ms() - before >= 300);
    struct buf b = fixture_read(f, "pid");
    int pid = (int)strtol(buf_text(&b), NULL, 10);
    buf_free(&b);
    assert_true(pid > 0);
    for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++) {
        /* as a zombie it is somebody else's to reap */
        char name[40];
        struct buf stat;
        snprintf(name, sizeof name, "/proc/%d/stat", pid);
        buf_init(&stat, 4096);
        bool dead = fdio_read_file(AT_FDCWD, name, &stat, &f->err) != 1 ||
                    strstr(buf_text(&stat), ") Z ") != NULL;
        buf_free(&stat);
        if (dead)
            return;
        clock_sleep_ms(10);
    }
    assert_int_equal(kill(pid, 0), -1);
}

static void
it_is_over_when_the_hook_is_whatever_it_left_behind(void **state)
{
    struct fixture *f = *state;
    uint64_t before = clock_mono_ms();

    OK(f, ask_it(f, "sleep 300 & exit 0"));
    /* away on purpose, and with our pipe, into which it talks without end */
    OK(f, ask_it(f, "setsid -f bash -c 'for i in {1..100000}; do echo x; done'; exit 0"));
    assert_true(clock_mono_ms() - before < 50000);
}

static void
one_that_talks_without_end_is_refused_after_the_limit(void **state)
{
    struct fixture *f = *state;
    const char *said;

    f->reg.pre_hook_timeout_ms = 1000;
    REFUSED(f, ask(f, "yes 'a line that comes again and again'", bytes_str("{}"), &said),
            ERR_DENIED);
    assert_non_null(strstr(f->err.message, "took longer"));
    assert_true(strlen(said) < 2 * HOOK_OUTPUT_MAX);
    assert_non_null(strstr(said, "(more output is not written here)"));
    assert_null(strstr(strstr(said, "(more output"), "again and again"));
}

static void
what_it_says_is_bounded_and_its_last_line_counts_all_the_same(void **state)
{
    struct fixture *f = *state;
    const char *said;

    REFUSED(f,
            ask(f,
                "head -c 300000 /dev/zero | tr '\\0' x; echo; yes z | head -n 100000; "
                "echo the end; exit 1",
                bytes_str("{}"), &said),
            ERR_DENIED);
    assert_string_equal(f->err.message, "the end");
    assert_true(strlen(said) < 2 * HOOK_OUTPUT_MAX);
    /* one long line is one message, cut */
    REFUSED(f, ask(f, "head -c 300000 /dev/zero | tr '\\0' x; exit 1", bytes_str("{}"), &said),
            ERR_DENIED);
    assert_int_equal(strlen(f->err.message), ERR_MESSAGE_MAX - 1);
    assert_true(strlen(said) < 2 * HOOK_OUTPUT_LINE_MAX);
}

static volatile sig_atomic_t told_to_end;

static void
on_term(int number)
{
    (void)number;
    told_to_end = 1;
}

static void
sigterm_ends_the_waiting(void **state)
{
    struct fixture *f = *state;
    struct sigaction term = {.sa_handler = on_term}, before;

    sigaction(SIGTERM, &term, &before);
    /* $PPID is us; again and again, as the master does */
    REFUSED(f, ask_it(f, "while :; do kill -TERM $PPID; sleep 0.1; done"), ERR_BUSY);
    assert_int_equal(told_to_end, 1);
    sigaction(SIGTERM, &before, NULL);
}

/* ---- pushing and deleting ---- */

static struct push
push(struct fixture *f, const char *tag, const char *config, int want)
{
    struct digest c = fixture_blob(f, "a/b", config), l = fixture_blob(f, "a/b", "layer");
    struct push p;
    int rc;

    catch_stdout();
    rc = fixture_push(f, "a/b", tag, fixture_image(f, &c, &l, ""), OCI_IMAGE, &p);
    caught(f);
    if (rc != want)
        fail_msg("%d: %s", rc, f->err.message);
    return p;
}

static int
pull(struct fixture *f, const char *tag, struct digest *d)
{
    struct reference r = {.tag = tag};
    struct pulled got;
    int rc = pull_manifest(&f->reg, "a/b", &r, false, &f->arena, &got, &f->err);

    *d = got.digest;
    return rc;
}

static void
a_refused_tag_stays_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct push one = push(f, "v1", "one", 0);
    struct digest d;

    hooks.scripts[HOOK_PRE_TAG] = "echo \"no $REGISTRY_TAG here\"; exit 1";
    push(f, "v1", "two", -1);
    assert_int_equal(f->err.code, ERR_DENIED);
    assert_string_equal(f->err.message, "no v1 here");
    OK(f, pull(f, "v1", &d));
    assert_true(digest_equal(&d, &one.digest));
    push(f, "v2", "two", -1);
    REFUSED(f, pull(f, "v2", &d), ERR_NO_MANIFEST);
    push(f, NULL, "two", 0); /* no tag moves */
    hooks.scripts[HOOK_PRE_TAG] = "exit 0";
    struct push two = push(f, "v1", "two", 0);
    OK(f, pull(f, "v1", &d));
    assert_true(digest_equal(&d, &two.digest));
}

static void
it_hears_where_the_tag_pointed(void **state)
{
    struct fixture *f = *state;
    char text[DIGEST_TEXT_MAX];
    struct push p;

    hooks.scripts[HOOK_PRE_TAG] = "echo \"<$REGISTRY_OLD_DIGEST>\"; exit 1";
    push(f, "v1", "one", -1);
    assert_string_equal(f->err.message, "<>");
    hooks.scripts[HOOK_PRE_TAG] = NULL;
    p = push(f, "v1", "one", 0);
    digest_text(text, &p.digest);
    hooks.scripts[HOOK_PRE_TAG] = "echo \"$REGISTRY_OLD_DIGEST\"; exit 1";
    push(f, "v1", "two", -1);
    assert_string_equal(f->err.message, text);
}

static void
one_tag_that_is_refused_refuses_all(void **state)
{
    struct fixture *f = *state;
    struct digest c = fixture_blob(f, "a/b", "config"), l = fixture_blob(f, "a/b", "layer"), d;
    const char *tags[] = {"v1", "v2", "v3"};
    struct actor ann = {.user = "ann", .address = ""};
    struct push p = {.repository = "a/b",
                     .tags = tags,
                     .tags_n = 3,
                     .document = bytes_str(fixture_image(f, &c, &l, "")),
                     .content_type = OCI_IMAGE,
                     .actor = &ann};
    const char *said;

    hooks.scripts[HOOK_PRE_TAG] = "[ \"$REGISTRY_TAG\" != v2 ]";
    catch_stdout();
    REFUSED(f, push_manifest(&f->reg, &p, &f->arena, &f->err), ERR_DENIED);
    said = caught(f);
    assert_non_null(strstr(said, "a/b:v2"));
    assert_null(strstr(said, "a/b:v3"));
    REFUSED(f, pull(f, "v1", &d), ERR_NO_MANIFEST);
}

static void
a_refused_deletion_deletes_nothing(void **state)
{
    static const struct actor ann = {.user = "ann", .address = ""};
    struct fixture *f = *state;
    struct push p = push(f, "v1", "one", 0);
    char id[DIGEST_TEXT_MAX], digest[DIGEST_TEXT_MAX];
    struct digest d;

    digest_hex(id, manifest_id(&p.manifest, &p.digest));
    digest_text(digest, &p.digest);
    hooks.scripts[HOOK_PRE_DELETE] =
        "echo \"$1 $2 $REGISTRY_TAG $REGISTRY_ACTOR $(sha256sum | cut -c1-64)\"; exit 1";
    catch_stdout();
    REFUSED(f, delete_tag(&f->reg, "a/b", "v1", NULL, &ann, &f->arena, &f->err), ERR_DENIED);
    caught(f);
    assert_string_equal(f->err.message,
                        arena_printf(&f->arena, "%s a/b:v1 v1 ann %s", id, digest + 7));
    catch_stdout();
    REFUSED(f, delete_manifest(&f->reg, "a/b", &p.digest, NULL, &ann, &f->arena, &f->err),
            ERR_DENIED);
    caught(f);
    assert_string_equal(f->err.message,
                        arena_printf(&f->arena, "%s a/b@%s  ann %s", id, digest, digest + 7));
    OK(f, pull(f, "v1", &d));

    hooks.scripts[HOOK_PRE_DELETE] = "echo asked >>asked";
    catch_stdout();
    OK(f, delete_tag(&f->reg, "a/b", "v1", NULL, &ann, &f->arena, &f->err));
    OK(f, delete_manifest(&f->reg, "a/b", &p.digest, NULL, &ann, &f->arena, &f->err));
    caught(f);
    struct buf asked = fixture_read(f, "asked");
    assert_string_equal(buf_text(&asked), "asked\nasked\n"); /* once each */
    buf_free(&asked);
    REFUSED(f, pull(f, "v1", &d), ERR_NO_MANIFEST);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_one_nothing_is_asked),
        TEST(one_that_cannot_run_refuses),
        TEST(the_exit_code_decides_and_the_last_line_is_the_message),
        TEST(what_it_says_is_in_the_log),
        TEST(the_document_is_its_stdin),
        TEST(one_that_hangs_is_killed_with_its_children_and_refuses),
        TEST(it_is_over_when_the_hook_is_whatever_it_left_behind),
        TEST(one_that_talks_without_end_is_refused_after_the_limit),
        TEST(what_it_says_is_bounded_and_its_last_line_counts_all_the_same),
        TEST(sigterm_ends_the_waiting),
        TEST(a_refused_tag_stays_where_it_was),
        TEST(it_hears_where_the_tag_pointed),
        TEST(one_tag_that_is_refused_refuses_all),
        TEST(a_refused_deletion_deletes_nothing),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
