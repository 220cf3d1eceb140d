#include "domain/inside/browse_files.h"
#include "storage/files/blob_file.h"

static int
open_layer_blob(void *arg, size_t layer, struct err *err)
{
    struct browse_image *im = arg;
    size_t i = im->first + layer;

    return blob_file_open(im->reg->blobs, &im->layers[i], im->instances[i], err);
}

static int
mend_browse_files(void *arg, struct err *err)
{
    return browse_mend(arg, err);
}

void
browse_files_of(struct layer_files *files, struct browse_image *im)
{
    *files = (struct layer_files){
        .merge = &im->merge, .blob = open_layer_blob, .mend = mend_browse_files, .arg = im};
}
