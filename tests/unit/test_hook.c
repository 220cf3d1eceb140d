#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/events/hook.h"
#include "store_fixture.h"
#include "util/fdio.h"

static struct hooks
hooks_of(const struct fixture *f)
{
    return (struct hooks){.dirfd = f->reg.dirfd, .dir = "./hooks"};
}

static void
put(struct fixture *f, const char *name, const char *text, mode_t mode)
{
    mkdir("hooks", 0755);
    OK(f, fdio_replace_file(f->reg.dirfd, name, mode, bytes_str(text), &f->err));
}

/* Returns the log lines written while fn runs. */
static struct buf
log_of(struct fixture *f, void (*fn)(struct fixture *f, struct hooks *h), struct hooks *h)
{
    int kept = dup(STDERR_FILENO);
    int file = open("log", O_RDWR | O_CREAT | O_TRUNC, 0600);

    assert_true(kept >= 0 && file >= 0);
    dup2(file, STDERR_FILENO);
    fn(f, h);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(file);
    return fixture_read(f, "log");
}

static size_t
count(const struct buf *b, const char *what)
{
    size_t n = 0;

    for (const char *p = buf_text(b); (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

static void
names_are_known_and_events_have_theirs(void **state)
{
    enum hook h;

    (void)state;
    for (int i = 0; i < HOOK_COUNT; i++) {
        assert_true(hook_parse(hook_name((enum hook)i), &h));
        assert_int_equal(h, i);
    }
    assert_false(hook_parse("post-tag", &h));
    assert_false(hook_parse("", &h));
    for (int type = EVENT_IMAGE; type <= EVENT_LAST; type++)
        assert_true(hook_of_event((enum event_type)type) < HOOK_PRE_TAG);
    assert_string_equal(hook_name(hook_of_event(EVENT_UNTAG)), "untag");
    assert_string_equal(hook_name(hook_of_event(EVENT_MANIFEST)), "manifest");
}

static void
short_names_are_those_of_docker(void **state)
{
    static const char *const cases[][3] = {
        {"library/bar", "latest", "bar"},
        {"library/bar", "v1", "bar:v1"},
        {"foo/bar", "latest", "foo/bar"},
        {"foo/bar", "v1", "foo/bar:v1"},
        {"bar", "latest", "bar"},
        {"a/library/bar", "x", "a/library/bar:x"},
        {"libraryx/bar", "", "libraryx/bar"},
    };
    char out[HOOK_SHORT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hook_short_name(out, cases[i][0], cases[i][1]);
        assert_string_equal(out, cases[i][2]);
    }
}

static struct rec_event
event(void)
{
    struct rec_event e = {.type = EVENT_TAG,
                          .time = 1700000000123,
                          .id = fixture_digest("id"),
                          .digest = fixture_digest("manifest"),
                          .repository = "library/app",
                          .tag = "v1",
                          .media_type = OCI_IMAGE,
                          .actor = "ann 'o' $(x) \"b\""};

    return e;
}

static void
each_hook_has_its_arguments(void **state)
{
    static const struct {
        enum hook hook;
        const char *about;
    } cases[] = {
        {HOOK_IMAGE, ""},         {HOOK_LAYER, ""},
        {HOOK_VERIFY, ""},        {HOOK_INDEX, ""},
        {HOOK_TAG, "app:v1"},     {HOOK_UNTAG, "app:v1"},
        {HOOK_MANIFEST, NULL},    {HOOK_DELETE, NULL},
        {HOOK_PRE_TAG, "app:v1"}, {HOOK_PRE_DELETE, "app:v1"},
    };
    char id[DIGEST_TEXT_MAX], digest[DIGEST_TEXT_MAX], by_digest[400];
    struct rec_event e = event();
    struct hook_arguments a;

    (void)state;
    digest_hex(id, &e.id);
    digest_text(digest, &e.digest);
    snprintf(by_digest, sizeof by_digest, "library/app@%s", digest);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hook_arguments_of(&a, cases[i].hook, &e);
        assert_string_equal(a.id, id);
        assert_string_equal(a.about, cases[i].about != NULL ? cases[i].about : by_digest);
    }
    e.tag[0] = '\0';
    hook_arguments_of(&a, HOOK_PRE_DELETE, &e);
    assert_string_equal(a.about, by_digest);
}

static void
without_any_there_is_none(void **state)
{
    struct fixture *f = *state;
    struct hooks h = hooks_of(f);

    for (int i = 0; i < HOOK_COUNT; i++)
        assert_int_equal(hook_find(&h, (enum hook)i, &f->err), 0);
    put(f, "hooks/tag.sample", "#!/bin/sh\n", 0755);
    put(f, "hooks/notify-url", "#!/bin/sh\n", 0755);
    for (int i = 0; i < HOOK_COUNT; i++)
        assert_int_equal(hook_find(&h, (enum hook)i, &f->err), 0);
}

static void
an_executable_file_is_found_when_it_comes(void **state)
{
    struct fixture *f = *state;
    struct hooks h = hooks_of(f);
    struct rec_event e = event();
    struct hook_command c;

    put(f, "hooks/tag", "#! /bin/sh -e\n", 0755);
    assert_int_equal(hook_find(&h, HOOK_TAG, &f->err), 1);
    OK(f, hook_command_of(&h, HOOK_TAG, &e, 7, &f->arena, &c, &f->err));
    assert_string_equal(c.path, "./hooks/tag");
    assert_string_equal(c.argv[0], "./hooks/tag");
    assert_string_equal(c.argv[2], "app:v1");
    assert_null(c.argv[3]);
    assert_int_equal(unlink("hooks/tag"), 0);
    assert_int_equal(hook_find(&h, HOOK_TAG, &f->err), 0);
}

static void
the_option_comes_before_the_file(void **state)
{
    struct fixture *f = *state;
    struct hooks h = hooks_of(f);
    struct rec_event e = event();
    struct hook_command c;

    put(f, "hooks/tag", "no hook at all", 0644);
    h.scripts[HOOK_TAG] = "echo \"$1\"";
    h.quiet = true;
    assert_int_equal(hook_find(&h, HOOK_TAG, &f->err), 1);
    OK(f, hook_command_of(&h, HOOK_TAG, &e, 7, &f->arena, &c, &f->err));
    assert_string_equal(c.path, "/bin/bash");
    assert_string_equal(c.argv[0], "/bin/bash");
    assert_string_equal(c.argv[1], "-c");
    assert_string_equal(c.argv[2], "echo \"$1\"");
    assert_string_equal(c.argv[3], "tag");
    assert_int_equal(strlen(c.argv[4]), 64);
    assert_string_equal(c.argv[5], "app:v1");
    assert_null(c.argv[6]);
}

static void
a_directory_of_ones_own_is_taken_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct hooks h = hooks_of(f);
    struct rec_event e = event();
    struct hook_command c;
    char dir[100], path[120];

    put(f, "hooks/tag", "#!/bin/sh\n", 0755);
    assert_int_equal(rename("hooks", "others"), 0);
    snprintf(dir, sizeof dir, "%s/others", f->home);
    snprintf(path, sizeof path, "%s/tag", dir);
    assert_int_equal(hook_find(&h, HOOK_TAG, &f->err), 0);
    h.dir = dir;
    assert_int_equal(hook_find(&h, HOOK_TAG, &f->err), 1);
    OK(f, hook_command_of(&h, HOOK_TAG, &e, 7, &f->arena, &c, &f->err));
    assert_string_equal(c.path, path);
    assert_string_equal(c.argv[0], "./hooks/tag");
}

/* Twice each: the second time nothing is new. */
static void
look_at_all(struct fixture *f, struct hooks *h)
{
    static const int found[HOOK_COUNT] = {
        [HOOK_IMAGE] = 0,    [HOOK_LAYER] = -1,    [HOOK_VERIFY] = -1,  [HOOK_INDEX] = -1,
        [HOOK_TAG] = -1,     [HOOK_UNTAG] = 1,     [HOOK_MANIFEST] = 1, [HOOK_DELETE] = -1,
        [HOOK_PRE_TAG] = -1, [HOOK_PRE_DELETE] = 0};

    for (int round = 0; round < 2; round++)
        for (int i = 0; i < HOOK_COUNT; i++)
            assert_int_equal(hook_find(h, (enum hook)i, &f->err), found[i]);
}

static void
what_cannot_run_is_said_once_and_clearly(void **state)
{
    struct fixture *f = *state;
    struct hooks h = hooks_of(f);
    struct buf log;

    put(f, "hooks/image", "#!/bin/sh\n", 0644);
    put(f, "hooks/layer", "echo no shebang\n", 0755);
    put(f, "hooks/verify", "", 0755);
    put(f, "hooks/index", "#!/no/such/shell -e\n", 0755);
    put(f, "hooks/tag", "#!/bin/sh\r\necho\r\n", 0755);
    put(f, "hooks/untag", "#!/bin/sh", 0755);
    put(f, "hooks/manifest", "\177ELF...", 0755);
    assert_int_equal(mkdir("hooks/delete", 0755), 0);
    assert_int_equal(symlink("/no/such/script", "hooks/pre-tag"), 0);

    log = log_of(f, look_at_all, &h);
    assert_int_equal(count(&log, "a hook can't be run"), 7);
    assert_int_equal(count(&log, "hook=image why=\"./hooks/image is not executable"), 1);
    assert_int_equal(count(&log, "chmod +x"), 1);
    assert_int_equal(count(&log, "#!/bin/sh, or be a program"), 2);
    assert_int_equal(count(&log, "interpreter /no/such/shell can't be run: No such file"), 1);
    assert_int_equal(count(&log, "carriage returns"), 1);
    assert_int_equal(count(&log, "./hooks/delete is not a regular file"), 1);
    assert_int_equal(count(&log, "./hooks/pre-tag is a link that leads nowhere"), 1);
    buf_free(&log);

    /* The same again says nothing; what changed is said, and after SIGHUP all is. */
    log = log_of(f, look_at_all, &h);
    assert_int_equal(log.n, 0);
    buf_free(&log);
    put(f, "hooks/layer", "still none\n", 0755);
    log = log_of(f, look_at_all, &h);
    assert_int_equal(count(&log, "a hook can't be run"), 1);
    buf_free(&log);
    hook_forget(&h);
    log = log_of(f, look_at_all, &h);
    assert_int_equal(count(&log, "a hook can't be run"), 7);
    buf_free(&log);
    h.quiet = true;
    hook_forget(&h);
    log = log_of(f, look_at_all, &h);
    assert_int_equal(log.n, 0);
    buf_free(&log);
}

static const char *
value_of(const struct hook_command *c, const char *name)
{
    const char *value = NULL;
    size_t n = strlen(name);

    for (size_t i = 0; c->envp[i] != NULL; i++)
        if (strncmp(c->envp[i], name, n) == 0 && c->envp[i][n] == '=') {
            assert_null(value); /* each once */
            value = c->envp[i] + n + 1;
        }
    return value;
}

static void
the_environment_is_ours_and_tells_the_event(void **state)
{
    struct fixture *f = *state;
    struct hooks h = hooks_of(f);
    struct rec_event e = event();
    struct hook_command c;
    char digest[DIGEST_TEXT_MAX];

    setenv("REGISTRY_ACTOR", "somebody else", 1);
    setenv("REGISTRY_ACTORS", "kept", 1);
    setenv("NOTIFY_SOCKET", "/run/x", 1);
    setenv("HOME", "/root-of-all", 1);
    setenv("PWD", "/elsewhere", 1);
    setenv("PGPASSWORD", "of a hook", 1);
    setenv("PGPASSFILE", "/etc/passwords", 1);
    setenv("AWS_ACCESS_KEY_ID", "key", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("PATH", "/a:/b", 1);
    OK(f, hook_command_of(&h, HOOK_TAG, &e, 4711, &f->arena, &c, &f->err));
    digest_text(digest, &e.digest);
    assert_string_equal(value_of(&c, "REGISTRY_EVENT"), "tag");
    assert_string_equal(value_of(&c, "REGISTRY_EVENT_ID"), "4711");
    assert_string_equal(value_of(&c, "REGISTRY_TIME"), "2023-11-14T22:13:20.123Z");
    assert_string_equal(value_of(&c, "REGISTRY_REPOSITORY"), "library/app");
    assert_string_equal(value_of(&c, "REGISTRY_TAG"), "v1");
    assert_string_equal(value_of(&c, "REGISTRY_DIGEST"), digest);
    assert_string_equal(value_of(&c, "REGISTRY_OLD_DIGEST"), "");
    assert_string_equal(value_of(&c, "REGISTRY_MEDIA_TYPE"), OCI_IMAGE);
    assert_string_equal(value_of(&c, "REGISTRY_ACTOR"), "ann 'o' $(x) \"b\"");
    assert_string_equal(value_of(&c, "REGISTRY_ACTORS"), "kept");
    assert_string_equal(value_of(&c, "PATH"), "/a:/b");
    assert_string_equal(value_of(&c, "HOME"), "/root-of-all");
    assert_null(value_of(&c, "NOTIFY_SOCKET"));
    assert_null(value_of(&c, "PWD"));
    assert_string_equal(value_of(&c, "PGPASSWORD"), "of a hook");

    unsetenv("PATH");
    h.user = "www-data";
    h.has_secrets = true;
    OK(f, hook_command_of(&h, HOOK_PRE_TAG, &e, 0, &f->arena, &c, &f->err));
    assert_string_equal(value_of(&c, "REGISTRY_EVENT"), "pre-tag");
    assert_string_equal(value_of(&c, "REGISTRY_EVENT_ID"), "");
    assert_string_equal(value_of(&c, "USER"), "www-data");
    assert_null(value_of(&c, "PGPASSWORD"));
    assert_null(value_of(&c, "AWS_ACCESS_KEY_ID"));
    assert_null(value_of(&c, "AWS_SECRET_ACCESS_KEY"));
    assert_string_equal(value_of(&c, "PGPASSFILE"), "/etc/passwords");
    assert_non_null(strstr(value_of(&c, "PATH"), "/usr/bin"));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_files, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_known_and_events_have_theirs),
        cmocka_unit_test(short_names_are_those_of_docker),
        cmocka_unit_test(each_hook_has_its_arguments),
        TEST(without_any_there_is_none),
        TEST(an_executable_file_is_found_when_it_comes),
        TEST(the_option_comes_before_the_file),
        TEST(a_directory_of_ones_own_is_taken_as_it_is),
        TEST(what_cannot_run_is_said_once_and_clearly),
        TEST(the_environment_is_ours_and_tells_the_event),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
