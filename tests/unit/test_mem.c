#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/mem.h"

static void
memory_is_zeroed_and_even_nothing_has_a_place(void **state)
{
    char *p = mem_array(3, 1000);
    void *nothing = mem_alloc(0);

    (void)state;
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(p[i], 0);
    assert_non_null(nothing);
    free(nothing);
    free(p);
}

static void
an_array_grows_and_keeps_its_elements(void **state)
{
    uint32_t *v = NULL;
    size_t room = 0, moves = 0;

    (void)state;
    for (uint32_t i = 0; i < 100000; i++) {
        size_t before = room;

        v = mem_grow(v, &room, i + 1, sizeof *v);
        moves += room != before;
        v[i] = i;
    }
    for (uint32_t i = 0; i < 100000; i++)
        assert_int_equal(v[i], i);
    assert_in_range(moves, 1, 20);
    free(v);
}

static void
texts_are_copies(void **state)
{
    char text[] = "hello";
    char *all = mem_strdup(text), *part = mem_copy(text, 2),
         *printed = mem_printf("%s/%d", text, 7);

    (void)state;
    text[0] = 'X';
    assert_string_equal(all, "hello");
    assert_string_equal(part, "he");
    assert_string_equal(printed, "hello/7");
    free(all);
    free(part);
    free(printed);
}

/* Runs it in a child, whose exit code it returns. */
static int
exit_code_of(void (*fn)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr) != NULL)
            fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
overflow_an_array(void)
{
    free(mem_resize(NULL, SIZE_MAX / 2, 3));
}

static void
ask_for_everything(void)
{
    free(mem_array(SIZE_MAX / 4, 3));
}

static void
a_process_that_gets_no_memory_ends(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(overflow_an_array), MEM_EXIT);
    assert_int_equal(exit_code_of(ask_for_everything), MEM_EXIT);
    assert_int_equal(exit_code_of(mem_exhausted), MEM_EXIT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_even_nothing_has_a_place),
        cmocka_unit_test(an_array_grows_and_keeps_its_elements),
        cmocka_unit_test(texts_are_copies),
        cmocka_unit_test(a_process_that_gets_no_memory_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
