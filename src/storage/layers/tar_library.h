#pragma once

#include <archive.h>
#include <archive_entry.h>
#include "util/err.h"

/* libarchive, which is loaded when the first tar is read. It needs libxml2, ICU and the library of
 * C++, though not for tars: they would take 2.5 MB of memory and some milliseconds of each start,
 * and would be in every process. */

/* 0, also if it is loaded already; -1. */
int tar_library_load(struct err *err);

/* Its functions, which are called by their names. */
extern struct tar_library {
    __typeof__(archive_entry_filetype) *archive_entry_filetype;
    __typeof__(archive_entry_gid) *archive_entry_gid;
    __typeof__(archive_entry_hardlink) *archive_entry_hardlink;
    __typeof__(archive_entry_mtime) *archive_entry_mtime;
    __typeof__(archive_entry_mtime_nsec) *archive_entry_mtime_nsec;
    __typeof__(archive_entry_pathname) *archive_entry_pathname;
    __typeof__(archive_entry_perm) *archive_entry_perm;
    __typeof__(archive_entry_rdev) *archive_entry_rdev;
    __typeof__(archive_entry_size) *archive_entry_size;
    __typeof__(archive_entry_sparse_next) *archive_entry_sparse_next;
    __typeof__(archive_entry_sparse_reset) *archive_entry_sparse_reset;
    __typeof__(archive_entry_symlink) *archive_entry_symlink;
    __typeof__(archive_entry_uid) *archive_entry_uid;
    __typeof__(archive_entry_xattr_count) *archive_entry_xattr_count;
    __typeof__(archive_error_string) *archive_error_string;
    __typeof__(archive_filter_bytes) *archive_filter_bytes;
    __typeof__(archive_read_data_block) *archive_read_data_block;
    __typeof__(archive_read_free) *archive_read_free;
    __typeof__(archive_read_new) *archive_read_new;
    __typeof__(archive_read_next_header) *archive_read_next_header;
    __typeof__(archive_read_open1) *archive_read_open1;
    __typeof__(archive_read_open_fd) *archive_read_open_fd;
    __typeof__(archive_read_set_callback_data) *archive_read_set_callback_data;
    __typeof__(archive_read_set_read_callback) *archive_read_set_read_callback;
    __typeof__(archive_read_set_skip_callback) *archive_read_set_skip_callback;
    __typeof__(archive_read_support_filter_bzip2) *archive_read_support_filter_bzip2;
    __typeof__(archive_read_support_filter_gzip) *archive_read_support_filter_gzip;
    __typeof__(archive_read_support_filter_xz) *archive_read_support_filter_xz;
    __typeof__(archive_read_support_filter_zstd) *archive_read_support_filter_zstd;
    __typeof__(archive_read_support_format_empty) *archive_read_support_format_empty;
    __typeof__(archive_read_support_format_raw) *archive_read_support_format_raw;
    __typeof__(archive_read_support_format_tar) *archive_read_support_format_tar;
    __typeof__(archive_set_error) *archive_set_error;
} tar_library;

#ifndef TAR_LIBRARY_ITSELF
#define archive_entry_filetype tar_library.archive_entry_filetype
#define archive_entry_gid tar_library.archive_entry_gid
#define archive_entry_hardlink tar_library.archive_entry_hardlink
#define archive_entry_mtime tar_library.archive_entry_mtime
#define archive_entry_mtime_nsec tar_library.archive_entry_mtime_nsec
#define archive_entry_pathname tar_library.archive_entry_pathname
#define archive_entry_perm tar_library.archive_entry_perm
#define archive_entry_rdev tar_library.archive_entry_rdev
#define archive_entry_size tar_library.archive_entry_size
#define archive_entry_sparse_next tar_library.archive_entry_sparse_next
#define archive_entry_sparse_reset tar_library.archive_entry_sparse_reset
#define archive_entry_symlink tar_library.archive_entry_symlink
#define archive_entry_uid tar_library.archive_entry_uid
#define archive_entry_xattr_count tar_library.archive_entry_xattr_count
#define archive_error_string tar_library.archive_error_string
#define archive_filter_bytes tar_library.archive_filter_bytes
#define archive_read_data_block tar_library.archive_read_data_block
#define archive_read_free tar_library.archive_read_free
#define archive_read_new tar_library.archive_read_new
#define archive_read_next_header tar_library.archive_read_next_header
#define archive_read_open1 tar_library.archive_read_open1
#define archive_read_open_fd tar_library.archive_read_open_fd
#define archive_read_set_callback_data tar_library.archive_read_set_callback_data
#define archive_read_set_read_callback tar_library.archive_read_set_read_callback
#define archive_read_set_skip_callback tar_library.archive_read_set_skip_callback
#define archive_read_support_filter_bzip2 tar_library.archive_read_support_filter_bzip2
#define archive_read_support_filter_gzip tar_library.archive_read_support_filter_gzip
#define archive_read_support_filter_xz tar_library.archive_read_support_filter_xz
#define archive_read_support_filter_zstd tar_library.archive_read_support_filter_zstd
#define archive_read_support_format_empty tar_library.archive_read_support_format_empty
#define archive_read_support_format_raw tar_library.archive_read_support_format_raw
#define archive_read_support_format_tar tar_library.archive_read_support_format_tar
#define archive_set_error tar_library.archive_set_error
#endif
