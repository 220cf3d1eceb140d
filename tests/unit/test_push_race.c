#include "store_fixture.h"
#include "store_place.h"
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/core/delete.h"
#include "domain/core/garbage.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_blob.h"

/* Pushes against the collection of garbage, in several processes. Leases last a moment, so a blob
 * may be collected between its upload and the manifest that names it: then the manifest is refused.
 * One that was accepted keeps its blobs. */

#define PUSHERS 3
#define COLLECTORS 2
#define ROUNDS 60
#define LAYERS 3 /* that all pushers share */

struct race {
    atomic_int pushing; /* processes */
    atomic_int accepted, refused;
    atomic_int lost; /* blobs that were gone although a manifest names them */
    atomic_int failed;
};

static void
lost_store(const char *why)
{
    fprintf(stderr, "the store is lost: %s\n", why);
    _exit(70);
}

static void
note_failure(struct fixture *f, struct race *race, const char *what)
{
    if (f->err.code == ERR_BUSY)
        return;
    fprintf(stderr, "%s: %s (code %d)\n", what, f->err.message, f->err.code);
    atomic_fetch_add(&race->failed, 1);
}

static void
push_and_delete(struct fixture *f, struct race *race, int number, int round)
{
    char text[40], more[60];
    struct digest config, layer, one;
    struct rec_blob r;
    struct push p;

    snprintf(text, sizeof text, "layer %d", round % LAYERS);
    config = fixture_blob(f, "r", "{}");
    layer = fixture_blob(f, "r", text);
    snprintf(more, sizeof more, ",\"annotations\":{\"n\":\"%d %d\"}", number, round);
    if (fixture_push(f, "r", NULL, fixture_image(f, &config, &layer, more), OCI_IMAGE, &p) != 0) {
        atomic_fetch_add(&race->refused, 1);
        if (f->err.code != ERR_MISSING_PARTS)
            note_failure(f, race, "push");
        return;
    }
    atomic_fetch_add(&race->accepted, 1);
    for (int i = 0; i < 2; i++) {
        one = i == 0 ? config : layer;
        if (tbl_blob_get(kv_reads(f->reg.kv), &one, &r, &f->err) != 1)
            atomic_fetch_add(&race->lost, 1);
    }
    if (delete_manifest(&f->reg, "r", &p.digest, NULL, &fixture_actor, &f->arena, &f->err) != 0)
        note_failure(f, race, "delete");
}

static void
race_child(struct fixture *f, struct race *race, int number)
{
    alarm(100);
    f->reg.kv = kv_open(store_place(), tables, TABLE_COUNT, NULL, lost_store, &f->err);
    if (f->reg.kv == NULL)
        _exit(1);
    f->bodies = (unsigned)number * 1000000;
    if (number < PUSHERS) {
        for (int round = 0; round < ROUNDS; round++) {
            push_and_delete(f, race, number, round);
            arena_reset(&f->arena);
        }
        atomic_fetch_sub(&race->pushing, 1);
    }
    while (number >= PUSHERS && atomic_load(&race->pushing) > 0)
        if (garbage_step(&f->reg, &f->err) < 0)
            note_failure(f, race, "garbage");
    kv_close(f->reg.kv);
    _exit(0);
}

static void
what_a_manifest_names_is_never_collected(void **state)
{
    struct fixture *f = *state;
    struct race *race =
        mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[PUSHERS + COLLECTORS];
    int status;

    assert_true(race != MAP_FAILED);
    atomic_store(&race->pushing, PUSHERS);
    f->reg.lease_ms = 2;
    kv_close(f->reg.kv);
    f->reg.kv = NULL;
    for (int i = 0; i < PUSHERS + COLLECTORS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            race_child(f, race, i);
    }
    for (int i = 0; i < PUSHERS + COLLECTORS; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    print_message("# %d accepted, %d refused\n", atomic_load(&race->accepted),
                  atomic_load(&race->refused));
    assert_int_equal(atomic_load(&race->failed), 0);
    assert_int_equal(atomic_load(&race->lost), 0);
    assert_true(atomic_load(&race->accepted) > 0);
    munmap(race, sizeof *race);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_manifest_names_is_never_collected, fixture_store,
                                        fixture_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
