#pragma once

/* Where the files of blobs are (blob_file.h, quarantine.h): below layers/ of the data directory. */
struct blob_store {
    int root; /* the data directory */
};
