#include "store_fixture.h"
#include <stdio.h>
#include <string.h>
#include "domain/events/event.h"
#include "domain/inside/index_job.h"
#include "domain/events/outbox.h"
#include "domain/core/store.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_meta.h"
#include "util/clock.h"

static int
append_event(struct txn *t, void *arg, struct err *err)
{
    struct rec_event e = {.type = EVENT_TAG, .time = *(const uint64_t *)arg};

    snprintf(e.repository, sizeof e.repository, "a/b");
    return tbl_event_append(t, &e, err);
}

static void
append_event_at(struct fixture *f, uint64_t time)
{
    fixture_run(f, append_event, &time);
}

static void
events_are_read_in_pages(void **state)
{
    struct fixture *f = *state;
    struct outbox_event v[3];
    size_t n;

    OK(f, outbox_read(&f->reg, 0, v, 3, &n, &f->err));
    assert_int_equal(n, 0);
    for (uint64_t i = 1; i <= 5; i++)
        append_event_at(f, i);
    OK(f, outbox_read(&f->reg, 0, v, 3, &n, &f->err));
    assert_int_equal(n, 3);
    assert_int_equal(v[0].seq, 1);
    assert_int_equal(v[2].event.time, 3);
    OK(f, outbox_read(&f->reg, 3, v, 3, &n, &f->err));
    assert_int_equal(n, 2);
    assert_int_equal(v[1].seq, 5);
    OK(f, outbox_read(&f->reg, 5, v, 3, &n, &f->err));
    assert_int_equal(n, 0);
    OK(f, outbox_read(&f->reg, UINT32_MAX, v, 3, &n, &f->err));
    assert_int_equal(n, 0);
}

static void
a_new_store_tells_all_events(void **state)
{
    struct fixture *f = *state;
    struct outbox_marks m;

    OK(f, store_begin(&f->reg, &f->err));
    OK(f, outbox_marks_get(&f->reg, &m, &f->err));
    assert_int_equal(m.told, 0);
    append_event_at(f, 1);
    OK(f, store_begin(&f->reg, &f->err)); /* the next start */
    OK(f, outbox_marks_get(&f->reg, &m, &f->err));
    assert_int_equal(m.told, 0);
    assert_int_equal(m.queued, 0);
}

static void
a_listener_that_was_away_too_long_is_told_so(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_wall_ms();
    uint32_t oldest = 99;

    OK(f, store_begin(&f->reg, &f->err));
    assert_int_equal(outbox_goes_on(&f->reg, 0, &oldest, &f->err), 1);
    assert_int_equal(oldest, 1);
    assert_int_equal(outbox_goes_on(&f->reg, 1, &oldest, &f->err), 0); /* of another registry */
    for (uint64_t i = 0; i < 5; i++)
        append_event_at(f, i < 3 ? 1 : now);
    OK(f, outbox_marks_save(&f->reg, &(struct outbox_marks){.told = 5, .queued = 5}, &f->err));
    OK(f, outbox_indexed_save(&f->reg, 5, &f->err));
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    assert_int_equal(outbox_goes_on(&f->reg, 2, &oldest, &f->err), 0);
    assert_int_equal(oldest, 4);
    assert_int_equal(outbox_goes_on(&f->reg, 3, &oldest, &f->err), 1);
    assert_int_equal(outbox_goes_on(&f->reg, 5, &oldest, &f->err), 1);
    assert_int_equal(outbox_goes_on(&f->reg, 6, &oldest, &f->err), 0);
    assert_int_equal(outbox_goes_on(&f->reg, UINT64_MAX, &oldest, &f->err), 0);
    fixture_forward_ms(120000);
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    assert_int_equal(outbox_goes_on(&f->reg, 4, &oldest, &f->err), 0);
    assert_int_equal(oldest, 6);
    assert_int_equal(outbox_goes_on(&f->reg, 5, &oldest, &f->err), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_are_read_in_pages, fixture_store, fixture_done),
        cmocka_unit_test_setup_teardown(a_new_store_tells_all_events, fixture_store, fixture_done),
        cmocka_unit_test_setup_teardown(a_listener_that_was_away_too_long_is_told_so, fixture_store,
                                        fixture_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
