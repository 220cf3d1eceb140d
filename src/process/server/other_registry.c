#include "process/server/other_registry.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

const char *
other_registry_name(int dirfd, const char *name)
{
    static const char *const levels[] = {"docker/registry/v2", "registry/v2", "v2/repositories",
                                         "repositories"};
    size_t n = strlen(name);
    char layout[NAME_MAX + 16];
    struct stat st;

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strncmp(levels[i], name, n) == 0 && strchr("/", levels[i][n]) != NULL &&
            fstatat(dirfd, levels[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            return "docker-registry";
    snprintf(layout, sizeof layout, "%s/oci-layout", name);
    if (strcmp(name, "oci-layout") == 0 || fstatat(dirfd, layout, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return "a registry with OCI layouts, which are imported one by one";
    return NULL;
}

int
other_registry_backup(int dirfd, const char *name, struct err *err)
{
    if (faccessat(dirfd, "backup.json", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return err_set(err, ERR_BAD_REQUEST,
                   "%.80s is a backup: make a data directory of it with docker-registry-server "
                   "restore %.80s --dir NEW",
                   name, name);
}
