#include "process/options/options_table.h"
#include <string.h>
#include "util/banned.h"

const struct options_row options_table[] = {
#define AT(member) offsetof(struct options, member)
/* One line of --help stands for all of these. */
#define ON(name, hook)                                                            \
    {                                                                             \
        "on-" name, 0, "script", NULL, OPTIONS_SCRIPT, false, AT(on[hook]), false \
    }
    {"port", 'p', "port", "port to listen on", OPTIONS_PORTS, true, AT(ports), false},
    {"dir", 'd', "directory", "set directory to store data in", OPTIONS_TEXT, false, AT(dir),
     false},
    {"user", 'u', "user:pass", "authenticate access", OPTIONS_USERS, true, AT(users), false},
    ON("image", HOOK_IMAGE),
    ON("layer", HOOK_LAYER),
    ON("verify", HOOK_VERIFY),
    ON("index", HOOK_INDEX),
    ON("tag", HOOK_TAG),
    ON("untag", HOOK_UNTAG),
    ON("manifest", HOOK_MANIFEST),
    ON("delete", HOOK_DELETE),
    ON("pre-tag", HOOK_PRE_TAG),
    ON("pre-delete", HOOK_PRE_DELETE),
    {"hooks", 0, "directory", "where hooks are files (hooks/ of the data)", OPTIONS_TEXT, false,
     AT(hooks), false},
    {"listen", 0, "address", "address to listen on (all, IPv4 and IPv6)", OPTIONS_ADDRESSES, true,
     AT(listen), false},
    {"tls-cert", 0, "file", "certificate (chain): every --port speaks TLS", OPTIONS_TEXT, false,
     AT(tls_cert), false},
    {"tls-key", 0, "file", "its key", OPTIONS_TEXT, false, AT(tls_key), false},
    {"tls-port", 0, "port", "port that speaks TLS; then --port stays plain", OPTIONS_PORTS, true,
     AT(tls_ports), false},
    {"fastcgi", 0, "directory", "put sockets there for your own nginx, and start none",
     OPTIONS_TEXT, false, AT(fastcgi), false},
    {"name", 0, "name", "tells registries in one nginx apart (main)", OPTIONS_NAME, false, AT(name),
     false},
    {"trust-remote-user", 0, NULL, "users are those of your own nginx", OPTIONS_FLAG, false,
     AT(trust_remote_user), false},
    {"base-url", 0, "url", "put this in front of Locations (they are relative)", OPTIONS_URL, false,
     AT(base_url), false},
    {"cors", 0, "origin", "let web pages from there use the API; * for any", OPTIONS_ORIGINS, true,
     AT(cors), false},
    {"run-as", 0, "user", "when started as root: become this user (www-data)", OPTIONS_TEXT, false,
     AT(run_as), false},
    {"workers", 0, "n", "processes for small requests (4, or the cores)", OPTIONS_COUNT, false,
     AT(workers), false},
    {"bulk-workers", 0, "n", "processes for uploads (2, or the cores)", OPTIONS_COUNT, false,
     AT(bulk_workers), false},
    {"browse-workers", 0, "n", "processes for looking into images (4)", OPTIONS_COUNT, false,
     AT(browse_workers), false},
    {"index-wait", 0, "time", "wait so long for a layer's index, then 503 (10s)", OPTIONS_PERIOD,
     false, AT(index_wait_ms), false},
    {"watchdog", 0, "time", "replace a process that hangs this long (30s)", OPTIONS_PERIOD, false,
     AT(watchdog_ms), false},
    {"config", 0, "file", "read options from a file: name=value a line", OPTIONS_TEXT, false,
     AT(config), true},
    {"lease", 0, "time", "keep what no image uses this long (1h)", OPTIONS_DURATION, false,
     AT(lease_ms), false},
    {"upload-expiry", 0, "time", "drop an upload this long after its last byte (24h)",
     OPTIONS_PERIOD, false, AT(upload_expiry_ms), false},
    {"gc-interval", 0, "time", "collect garbage this often (60s)", OPTIONS_PERIOD, false,
     AT(gc_interval_ms), false},
    {"max-blob-size", 0, "size", "refuse larger layers (0: no limit)", OPTIONS_SIZE, false,
     AT(max_blob_size), false},
    {"hook-timeout", 0, "time", "kill a hook after this (10m)", OPTIONS_PERIOD, false,
     AT(hook_timeout_ms), false},
    {"hook-jobs", 0, "n", "hooks that run at once (4)", OPTIONS_COUNT, false, AT(hook_jobs), false},
    {"hook-retries", 0, "n", "try a hook that fails so often again (5)", OPTIONS_TRIES, false,
     AT(hook_retries), false},
    {"pre-hook-timeout", 0, "time", "refuse when a pre-hook takes longer (30s)", OPTIONS_PERIOD,
     false, AT(pre_hook_timeout_ms), false},
    {"event-keep", 0, "time", "drop events after this (30d)", OPTIONS_PERIOD, false,
     AT(event_keep_ms), false},
    {"max-repositories", 0, "n", "refuse further repositories (100000; 0: no limit)", OPTIONS_LIMIT,
     false, AT(max_repositories), false},
    {"max-tags", 0, "n", "refuse further tags of a repository (100000)", OPTIONS_LIMIT, false,
     AT(max_tags), false},
    {"max-uploads", 0, "n", "refuse further uploads at once of a user (100)", OPTIONS_LIMIT, false,
     AT(max_uploads), false},
    {"index-jobs", 0, "n", "layers that are indexed at once (the cores)", OPTIONS_COUNT, false,
     AT(index_jobs), false},
    {"index-memory", 0, "size", "memory for indexing a layer (512M)", OPTIONS_SIZE, false,
     AT(index_memory), false},
    {"index-time", 0, "time", "of the processor, for indexing a layer (10m)", OPTIONS_PERIOD, false,
     AT(index_time_ms), false},
    {"index-max-entries", 0, "n", "names in a layer that can be looked into (500000)",
     OPTIONS_NUMBER, false, AT(index_max_entries), false},
    {"index-max-depth", 0, "n", "directories inside of each other there (256)", OPTIONS_NUMBER,
     false, AT(index_max_depth), false},
    {"index-max-output", 0, "size", "bytes of it without compression (64G; 0: no limit)",
     OPTIONS_SIZE, false, AT(index_max_output), false},
    {"index-max-ratio", 0, "n", "bytes for each compressed one, and 1G (200)", OPTIONS_NUMBER,
     false, AT(index_max_ratio), false},
    {"log-level", 0, "level", "error, warn, info or debug (info)", OPTIONS_LEVEL, false,
     AT(log_level), false},
    {"http", 0, NULL, OPTIONS_PRINT_NGINX_CONF ": only the part for http { }", OPTIONS_FLAG, false,
     AT(http_part), true},
    {"server", 0, NULL, OPTIONS_PRINT_NGINX_CONF ": only the part for server { }", OPTIONS_FLAG,
     false, AT(server_part), true},
    {"json", 0, NULL, "hooks: print JSON", OPTIONS_FLAG, false, AT(json), true},
    {"retry", 0, "id", "hooks: try this one again, now", OPTIONS_TEXT, false, AT(retry), true},
    {"drop", 0, "id", "hooks: forget this one", OPTIONS_TEXT, false, AT(drop), true},
    {"prefix", 0, "name", "import: put name/ in front of repositories' names", OPTIONS_TEXT, false,
     AT(prefix), true},
    {"listing", 0, "file", "import: the images of an original, as it told them", OPTIONS_TEXT,
     false, AT(listing), true},
    {"output", 'o', "path", "export: write there; a directory ends with /", OPTIONS_TEXT, false,
     AT(output), true},
    {"help", 0, NULL, "print this", OPTIONS_FLAG, false, AT(help), true},
    {"version", 0, NULL, "print the version", OPTIONS_FLAG, false, AT(version), true},
#undef ON
#undef AT
};

const size_t options_table_n = sizeof options_table / sizeof *options_table;
_Static_assert(sizeof options_table / sizeof *options_table <= OPTIONS_TABLE_MAX,
               "too many options");

const struct options_row *
options_table_by_name(const char *name, size_t n)
{
    for (size_t i = 0; i < options_table_n; i++)
        if (strlen(options_table[i].name) == n && memcmp(options_table[i].name, name, n) == 0)
            return &options_table[i];
    return NULL;
}

const struct options_row *
options_table_by_letter(char letter)
{
    for (size_t i = 0; i < options_table_n; i++)
        if (options_table[i].letter != '\0' && options_table[i].letter == letter)
            return &options_table[i];
    return NULL;
}
