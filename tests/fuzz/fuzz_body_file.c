/* The name of a body file, as nginx gives it: what isn't below uploads/body/ is never taken. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fuzz.h"
#include "storage/files/upload_dir.h"
#include "util/fdio.h"

#define BODY "uploads/body/1/23/0000000123"

static char root_name[256];
static int root = -1;
static struct upload_dir upload;

static void
write_file(const char *name)
{
    int fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
}

static void
remove_all(void)
{
    struct err err;
    fdio_remove_tree(AT_FDCWD, root_name, &err);
}

/* One file may be taken. The others have names that a way out of uploads/body/ would lead to. */
static void
prepare(void)
{
    static const char *const made[] = {"run", "uploads", "uploads/body", "uploads/body/1",
                                       "uploads/body/1/23"};
    const char *tmp = getenv("TMPDIR");
    struct err err;
    snprintf(root_name, sizeof root_name, "%s/fuzz-XXXXXX", tmp != NULL ? tmp : "/tmp");
    MUST(mkdtemp(root_name) != NULL && atexit(remove_all) == 0);
    root = open(root_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(root >= 0);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        MUST(mkdirat(root, made[i], 0700) == 0);
    write_file("1");
    write_file("uploads/1");
    write_file("uploads/body/1.");
    write_file(BODY);
    MUST(upload_dir_open(root, "id", &upload, &err) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err err = {0};
    uint64_t total = 0;
    char *name = fuzz_text(data, n);
    size_t length = strlen(name), wanted = strlen(BODY);
    if (root < 0)
        prepare();
    if (upload_dir_append(&upload, name, 1, &total, &err) == 0) {
        MUST(length >= wanted && strcmp(name + length - wanted, BODY) == 0);
        MUST(total == 1 && unlinkat(root, upload.path, 0) == 0);
    } else {
        MUST(err.code == ERR_BUSY || err.code == ERR_SYSTEM);
        MUST(err.message[0] != '\0');
    }
    free(name);
    return 0;
}
