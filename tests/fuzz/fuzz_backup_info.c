/* backup.json: what is read can be written, and is then read as the same. */
#include "domain/backup/backup_info.h"
#include "fuzz.h"

static void
check_same(const struct backup_info *a, const struct backup_info *b)
{
    MUST(a->moment_ms == b->moment_ms && a->blobs == b->blobs && a->bytes == b->bytes);
    MUST(a->new_blobs == b->new_blobs && a->new_bytes == b->new_bytes);
    MUST(a->files_n == b->files_n && a->damaged_n == b->damaged_n);
    for (size_t i = 0; i < a->files_n; i++)
        MUST(strcmp(a->files[i].name, b->files[i].name) == 0 &&
             a->files[i].size == b->files[i].size && a->files[i].mode == b->files[i].mode &&
             digest_equal(&a->files[i].digest, &b->files[i].digest));
    for (size_t i = 0; i < a->damaged_n; i++)
        MUST(backup_info_is_damaged(b, &a->damaged[i]));
}

/* A file is made in one of three directories, and below it. */
static void
check_names(const struct backup_info *b)
{
    MUST(b->files_n > 0);
    for (size_t i = 0; i < b->files_n; i++) {
        const char *name = b->files[i].name;

        MUST(name[0] != '/' && strchr(name, '/') != NULL && strstr(name, "/../") == NULL);
        MUST(strncmp(name, "../", 3) != 0 && b->files[i].mode <= 0777);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct backup_info b, again;
    struct buf text;
    struct err err = {.code = ERR_NONE};

    if (backup_info_read(&b, bytes_of(data, n), "the backup", &err) == 0) {
        check_names(&b);
        buf_init(&text, 64 << 20);
        backup_info_write(&b, &text);
        MUST(buf_ok(&text));
        MUST(backup_info_read(&again, buf_bytes(&text), "the backup", &err) == 0);
        check_same(&b, &again);
        backup_info_free(&again);
        buf_free(&text);
    } else {
        MUST(err.code == ERR_CORRUPT || err.code == ERR_UNSUPPORTED);
        MUST(strstr(err.message, "the backup") != NULL);
    }
    backup_info_free(&b);
    return 0;
}
