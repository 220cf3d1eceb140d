#define TAR_LIBRARY_ITSELF
#include "storage/layers/tar_library.h"
#include <assert.h>
#include "util/library.h"

struct tar_library tar_library;

#define ARCHIVE_FUNCTION(name) LIBRARY_FUNCTION(tar_library, name)
static const struct library_function archive_functions[] = {
    ARCHIVE_FUNCTION(archive_entry_filetype),
    ARCHIVE_FUNCTION(archive_entry_gid),
    ARCHIVE_FUNCTION(archive_entry_hardlink),
    ARCHIVE_FUNCTION(archive_entry_mtime),
    ARCHIVE_FUNCTION(archive_entry_mtime_nsec),
    ARCHIVE_FUNCTION(archive_entry_pathname),
    ARCHIVE_FUNCTION(archive_entry_perm),
    ARCHIVE_FUNCTION(archive_entry_rdev),
    ARCHIVE_FUNCTION(archive_entry_size),
    ARCHIVE_FUNCTION(archive_entry_sparse_next),
    ARCHIVE_FUNCTION(archive_entry_sparse_reset),
    ARCHIVE_FUNCTION(archive_entry_symlink),
    ARCHIVE_FUNCTION(archive_entry_uid),
    ARCHIVE_FUNCTION(archive_entry_xattr_count),
    ARCHIVE_FUNCTION(archive_error_string),
    ARCHIVE_FUNCTION(archive_filter_bytes),
    ARCHIVE_FUNCTION(archive_read_data_block),
    ARCHIVE_FUNCTION(archive_read_free),
    ARCHIVE_FUNCTION(archive_read_new),
    ARCHIVE_FUNCTION(archive_read_next_header),
    ARCHIVE_FUNCTION(archive_read_open1),
    ARCHIVE_FUNCTION(archive_read_open_fd),
    ARCHIVE_FUNCTION(archive_read_set_callback_data),
    ARCHIVE_FUNCTION(archive_read_set_read_callback),
    ARCHIVE_FUNCTION(archive_read_set_skip_callback),
    ARCHIVE_FUNCTION(archive_read_support_filter_bzip2),
    ARCHIVE_FUNCTION(archive_read_support_filter_gzip),
    ARCHIVE_FUNCTION(archive_read_support_filter_xz),
    ARCHIVE_FUNCTION(archive_read_support_filter_zstd),
    ARCHIVE_FUNCTION(archive_read_support_format_empty),
    ARCHIVE_FUNCTION(archive_read_support_format_raw),
    ARCHIVE_FUNCTION(archive_read_support_format_tar),
    ARCHIVE_FUNCTION(archive_set_error),
};
#define ARCHIVE_FUNCTIONS (sizeof archive_functions / sizeof archive_functions[0])

static const struct library archive = {
    .what = "libarchive",
    .package = "libarchive13",
    .files = {"libarchive.so.13"},
    .functions = archive_functions,
    .functions_n = ARCHIVE_FUNCTIONS,
};

int
tar_library_load(struct err *err)
{
    static_assert(ARCHIVE_FUNCTIONS == sizeof tar_library / sizeof(void *), "each is loaded");
    return tar_library.archive_read_new != NULL ? 0 : library_load(&archive, &tar_library, err);
}
