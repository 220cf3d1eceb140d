/* A tar that somebody saved: which files it has, and where. Behind the first line, which is asked
 * for. */
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz.h"
#include "storage/layers/tar_files.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"manifest.json", "index.json", "a/b", ""};
    char *asked = fuzz_line(&data, &n);
    int fd = memfd_create("tar", MFD_CLOEXEC);
    uint64_t at, size;
    struct err err = {0};
    MUST(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    struct tar_files *t = tar_files_open(fd, &err);
    MUST(t != NULL || (err.code != ERR_NONE && err.message[0] != '\0'));
    for (size_t i = 0; t != NULL && i <= sizeof names / sizeof *names; i++)
        if (tar_files_find(t, i > 0 ? names[i - 1] : asked, &at, &size) != 0)
            MUST(at % 512 == 0 && at <= n && size <= n - at);
    tar_files_close(t);
    close(fd);
    free(asked);
    return 0;
}
