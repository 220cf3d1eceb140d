#include "process/options/options_table.h"

/* Commands that know an option: print-nginx-conf takes all options of the server, so that it can be
 * given the same ones. */
#define SERVER "serve check print-nginx-conf"
#define HOOKS "serve check print-nginx-conf hooks tag"
#define STORE                                                                                \
    "serve check print-nginx-conf user access rotate-key hooks tag import export gc retain " \
    "backup restore migrate fsck "                                                           \
    "repo explain find stat top snapshot rebuild show audit upgrade"

/* Kinds. */
#define AT(member) .at = offsetof(struct options, member)
#define FLAG(member) .kind = OPTIONS_FLAG, AT(member)
#define TEXT(member) .kind = OPTIONS_TEXT, AT(member)
#define NAME(member) .kind = OPTIONS_NAME, AT(member)
#define URL(member) .kind = OPTIONS_URL, AT(member)
#define LEVEL(member) .kind = OPTIONS_LEVEL, AT(member)
#define FORMAT(member) .kind = OPTIONS_FORMAT, AT(member)
#define LOG(member) .kind = OPTIONS_LOG, AT(member)
#define LIST(k, member) .kind = k, AT(member)
#define ON(hook) .kind = OPTIONS_SCRIPT, AT(on[hook])
#define NUMBER(member, l, m) .kind = OPTIONS_NUMBER, AT(member), .least = l, .most = m
#define COUNT(member) NUMBER(member, 1, OPTIONS_COUNT_MAX)
#define BIG(member) NUMBER(member, 1, 1000000000)
#define LIMIT(member) .kind = OPTIONS_LIMIT, AT(member)
#define SIZE(member, l) .kind = OPTIONS_SIZE, AT(member), .least = l
#define MINUTE_MS UINT64_C(60000)
#define TIME(member, l) .kind = OPTIONS_TIME, AT(member), .least = l

#define RESTART .restart = true

/* name, letter, value, default, help, commands, kind. */
const struct options_row options_table[] = {
    {"port", 'p', "port", "8000", "port to listen on", SERVER, LIST(OPTIONS_PORT, ports), RESTART},
    {"dir", 'd', "directory", ".", "set directory to store data in", STORE, TEXT(dir), RESTART},
    {"user", 'u', "user:pass", NULL, "authenticate access", SERVER, LIST(OPTIONS_USER, users)},
    {"on-image", 0, "script", NULL, "specify a hook", HOOKS, ON(HOOK_IMAGE)},
    {"on-layer", 0, "script", NULL, NULL, HOOKS, ON(HOOK_LAYER)},
    {"on-verify", 0, "script", NULL, NULL, HOOKS, ON(HOOK_VERIFY)},
    {"on-index", 0, "script", NULL, NULL, HOOKS, ON(HOOK_INDEX)},
    {"on-tag", 0, "script", NULL, NULL, HOOKS, ON(HOOK_TAG)},
    {"on-untag", 0, "script", NULL, NULL, HOOKS, ON(HOOK_UNTAG)},
    {"on-manifest", 0, "script", NULL, NULL, HOOKS, ON(HOOK_MANIFEST)},
    {"on-delete", 0, "script", NULL, NULL, HOOKS, ON(HOOK_DELETE)},
    {"on-damage", 0, "script", NULL, NULL, HOOKS, ON(HOOK_DAMAGE)},
    {"on-pre-tag", 0, "script", NULL, NULL, HOOKS, ON(HOOK_PRE_TAG)},
    {"on-pre-delete", 0, "script", NULL, NULL, HOOKS, ON(HOOK_PRE_DELETE)},
    {"hooks", 0, "directory", NULL, "directory of hooks (hooks/ of the data)", HOOKS, TEXT(hooks)},
    {"access", 0, "file", NULL, "access rules (auth/access of the data)", SERVER " access user",
     TEXT(access)},
    {"anonymous-pull", 0, NULL, NULL, "without access rules: let everybody pull", SERVER " access",
     FLAG(anonymous_pull)},
    {"retain", 0, "file", NULL, "rules that say which tags stay (auth/retain of the data)",
     SERVER " retain", TEXT(retain)},
    {"retain-every", 0, "time", "24h", "delete what these rules don't keep this often", SERVER,
     TIME(retain_every_ms, 1)},
    {"listen", 0, "address", NULL, "address to listen on (all, IPv4 and IPv6)", SERVER,
     LIST(OPTIONS_ADDRESS, listen), RESTART},
    {"metrics-from", 0, "network", NULL, "who may read /metrics (this machine); none: nobody",
     SERVER, LIST(OPTIONS_NETWORK, metrics_from)},
    {"trusted-proxy", 0, "network", NULL,
     "believe a proxy from there who its clients are; none: nobody", SERVER,
     LIST(OPTIONS_NETWORK, trusted_proxies)},
    {"proxy-protocol", 0, NULL, NULL, "a load balancer in front sends the PROXY protocol", SERVER,
     FLAG(proxy_protocol)},
    {"tls-cert", 0, "file", NULL, "certificate (chain): every --port speaks TLS", SERVER,
     TEXT(tls_cert)},
    {"tls-key", 0, "file", NULL, "key of the certificate", SERVER, TEXT(tls_key)},
    {"tls-port", 0, "port", NULL, "port that speaks TLS; then --port stays plain", SERVER,
     LIST(OPTIONS_PORT, tls_ports), RESTART},
    {"fastcgi", 0, "directory", NULL, "put sockets there for your own nginx, and start none",
     SERVER, TEXT(fastcgi), RESTART},
    {"name", 0, "name", "main", "distinguishes registries in one nginx", SERVER, NAME(name)},
    {"trust-remote-user", 0, NULL, NULL, "users are those of your own nginx", SERVER,
     FLAG(trust_remote_user)},
    {"no-ui", 0, NULL, NULL, "leave out the web page /ui/", SERVER, FLAG(no_ui)},
    {"base-url", 0, "url", NULL, "make Location and Link absolute with this URL", SERVER,
     URL(base_url)},
    {"cors", 0, "origin", NULL, "let web pages from there use the API; * for any", SERVER,
     LIST(OPTIONS_ORIGIN, cors)},
    {"blobs", 0, "directory", NULL, "keep the layers there, or s3://... (layers/ of the data)",
     STORE, TEXT(blobs), RESTART},
    {"cache-size", 0, "size", "4G", "keep copies of so much of the layers in S3", SERVER,
     SIZE(cache_size, 1 << 20)},
    {"database", 0, "url", NULL, "keep the metadata there: postgresql://...", STORE, TEXT(database),
     RESTART},
    {"node-address", 0, "host:port", NULL, "where other servers of this database reach this one",
     SERVER, TEXT(node_address), RESTART},
    {"run-as", 0, "user", NULL, "when started as root: become this user (" OPTIONS_RUN_AS ")",
     STORE, TEXT(run_as), RESTART},
    {"workers", 0, "n", OPTIONS_TABLE_PROCESSORS ", at least 4", "processes for small requests",
     SERVER, COUNT(workers)},
    {"bulk-workers", 0, "n", OPTIONS_TABLE_PROCESSORS ", at least 4", "processes for uploads",
     SERVER, COUNT(bulk_workers)},
    {"browse-workers", 0, "n", "4", "processes for looking into images, and for lists", SERVER,
     COUNT(browse_workers)},
    {"index-wait", 0, "time", "10s", "wait this long for the index of a layer, then 503", SERVER,
     TIME(index_wait_ms, 1)},
    {"watchdog", 0, "time", "30s", "replace a process that hangs this long", SERVER,
     TIME(watchdog_ms, 1)},
    {"config", 0, "file", NULL, "read options from a file: name=value on each line", STORE,
     TEXT(config), .command_line_only = true},
    {"lease", 0, "time", "1h", "keep what no image uses this long", SERVER " import gc tag repo",
     TIME(lease_ms, 0)},
    {"upload-expiry", 0, "time", "24h", "drop an upload that got no data for this time", SERVER,
     TIME(upload_expiry_ms, 1)},
    {"history-keep", 0, "time", "7d", "keep overwritten and deleted tags restorable this long",
     SERVER " import tag repo", TIME(history_keep_ms, 0)},
    {"immutable", 0, "pattern", NULL, "tags that are never moved: v*, or team/**:v*",
     SERVER " import tag retain", LIST(OPTIONS_TAGS, immutable)},
    {"snapshot-every", 0, "time", "1h", "copy the database this often (0: never)", SERVER,
     TIME(snapshot_every_ms, 0)},
    {"snapshot-keep", 0, "n", "24", "keep this many copies of the database", SERVER " snapshot",
     NUMBER(snapshot_keep, 1, 10000)},
    {"gc-interval", 0, "time", "60s", "look for garbage at least this often", SERVER,
     TIME(gc_interval_ms, 1)},
    {"gc-untagged", 0, "time", NULL, "delete manifests that have had no tag for this time", SERVER,
     TIME(gc_untagged_ms, 1)},
    {"quota", 0, "glob size", NULL, "refuse pushes that would pass it: 'team/** 200G'", SERVER,
     LIST(OPTIONS_QUOTA, quotas)},
    {"max-blob-size", 0, "size", "0", "refuse larger layers", SERVER " import",
     SIZE(max_blob_size, 0)},
    {"min-free", 0, "size", "0", "refuse pushes while the disk has less room (0: 32 MiB)",
     SERVER " import", SIZE(min_free, 0)},
    {"read-only", 0, NULL, NULL, "serve pulls, and refuse pushes and deletes", SERVER,
     FLAG(read_only)},
    {"hook-timeout", 0, "time", "10m", "kill a hook that runs longer", HOOKS,
     TIME(hook_timeout_ms, 1)},
    {"hook-jobs", 0, "n", "4", "hooks that run at once", SERVER, COUNT(hook_jobs)},
    {"hook-retries", 0, "n", "5", "retries of a hook that failed", SERVER,
     NUMBER(hook_retries, 0, OPTIONS_COUNT_MAX)},
    {"pre-hook-timeout", 0, "time", "30s", "refuse when a pre-hook runs longer", HOOKS,
     TIME(pre_hook_timeout_ms, 1)},
    {"event-keep", 0, "time", "30d", "drop events after this time", SERVER, TIME(event_keep_ms, 1)},
    {"scrub-days", 0, "n", "30", "read all blobs once in n days, for damage; 0: never", SERVER,
     NUMBER(scrub_days, 0, 36500)},
    {"token-lifetime", 0, "time", "10m", "give tokens that are valid this long (1m to 24h)", SERVER,
     TIME(token_lifetime_ms, MINUTE_MS), .most = 24 * 60 * MINUTE_MS},
    {"max-repositories", 0, "n", "100000", "refuse further repositories", SERVER " import tag",
     LIMIT(max_repositories)},
    {"max-tags", 0, "n", "100000", "refuse further tags of a repository", SERVER " import tag",
     LIMIT(max_tags)},
    {"max-uploads", 0, "n", "100", "refuse further uploads at once of a user", SERVER,
     LIMIT(max_uploads)},
    {"max-connections-per-address", 0, "n", "1024", "refuse further requests at once of an address",
     SERVER, LIMIT(max_connections_per_address)},
    {"max-wrong-passwords", 0, "n", "100", "bar an address with so many in a minute", SERVER,
     LIMIT(max_wrong_passwords)},
    {"index-jobs", 0, "n", OPTIONS_TABLE_PROCESSORS, "layers that are indexed at once", SERVER,
     COUNT(index_jobs)},
    {"index-memory", 0, "size", "512M", "memory for indexing a layer", SERVER,
     SIZE(index_memory, UINT64_C(128) << 20)},
    {"index-time", 0, "time", "10m", "processor time for indexing a layer", SERVER,
     TIME(index_time_ms, 1)},
    {"index-max-entries", 0, "n", "500000", "most names in a layer that can be looked into", SERVER,
     BIG(index_max_entries)},
    {"index-max-depth", 0, "n", "256", "deepest directory in such a layer", SERVER,
     BIG(index_max_depth)},
    {"index-max-output", 0, "size", "64G", "most bytes of such a layer, uncompressed", SERVER,
     SIZE(index_max_output, 0)},
    {"index-max-ratio", 0, "n", "200", "uncompressed bytes for each compressed byte, after 1G",
     SERVER, BIG(index_max_ratio)},
    {"log-level", 0, "level", "info", "error, warn, info or debug", STORE, LEVEL(log_level)},
    {"log-format", 0, "format", "text", "lines of the log: text or json", SERVER, FORMAT(log_json)},
    {"access-log", 0, "file", "off", "a line for each request; syslog, or off", SERVER,
     TEXT(access_log)},
    {"log-to", 0, "target", "stderr", "stderr, syslog, or syslog:SOCKET", SERVER, LOG(log_to)},
    {"http", 0, NULL, NULL, "print-nginx-conf: only the part for http { }", "print-nginx-conf",
     FLAG(http_part)},
    {"server", 0, NULL, NULL, "print-nginx-conf: only the part for server { }", "print-nginx-conf",
     FLAG(server_part)},
    {"json", 0, NULL, NULL, "print JSON",
     "hooks access user tag gc retain backup fsck repo explain find stat check show audit",
     FLAG(json)},
    {"verbose", 'v', NULL, NULL, "retain: list what stays, too, and why", "retain", FLAG(verbose)},
    {"to", 0, "n", NULL, "tag undo: to what this entry of the history tells", "tag", TEXT(to)},
    {"to", 0, "place", NULL, "migrate: the database, postgresql://..., or the data directory",
     "migrate", TEXT(to)},
    {"untagged", 0, NULL, NULL, "tag ls: list the manifests that no tag leads to", "tag",
     FLAG(tagless)},
    {"force", 0, NULL, NULL, "tag undo, restore, rm: also tags that are immutable", "tag",
     FLAG(force)},
    {"retry", 0, "id", NULL, "hooks: try this one again, now", "hooks", TEXT(retry)},
    {"drop", 0, "id", NULL, "hooks: forget this one", "hooks", TEXT(drop)},
    {"label", 0, "key[=value]", NULL, "find: only images with this label", "find", TEXT(label)},
    {"robot", 0, NULL, NULL, "user: for a program, with a secret that is made and printed", "user",
     FLAG(robot)},
    {"expires", 0, "when", NULL, "user: the robot's last moment (12h, 90d, 2027-01-31, never)",
     "user", TEXT(expires)},
    {"generate", 0, NULL, NULL, "user: make a password and print it", "user", FLAG(generate)},
    {"prefix", 0, "name", NULL, "import: put name/ in front of the names of repositories", "import",
     TEXT(prefix)},
    {"listing", 0, "file", NULL, "import: the list of images that an original registry gave",
     "import", TEXT(listing)},
    {"output", 'o', "path", NULL, "export: write there; a directory ends with /", "export",
     TEXT(output)},
    {"dry-run", 0, NULL, NULL, "change nothing, and print what would go", "gc retain",
     FLAG(dry_run)},
    {"untagged", 0, "time", NULL, "gc: delete manifests that have had no tag for this time", "gc",
     TEXT(untagged)},
    {"list", 0, NULL, NULL, "print the backups or snapshots that are there", "backup snapshot",
     FLAG(list)},
    {"snapshot", 0, NULL, NULL, "restore: put the database back from a snapshot", "restore",
     FLAG(snapshot)},
    {"into", 0, "name", NULL, "rebuild: the repository that gets what is found (recovered)",
     "rebuild", TEXT(into)},
    {"keep", 0, "n", "0", "backup: remove the oldest, and keep this many (0: all)", "backup",
     LIMIT(keep)},
    {"wait", 0, "time", "60s", "wait this long for another backup or snapshot (0: not at all)",
     "backup snapshot migrate", TIME(wait_ms, 0)},
    {"repair", 0, NULL, NULL, "fsck: mend what can be mended", "fsck", FLAG(repair)},
    {"rate", 0, "size", "100M", "fsck: read this much of the blobs in a second", "fsck",
     SIZE(rate, 0)},
    {"now", 0, NULL, NULL, "rotate-key, repo rm, tag rm: end all that was promised, at once",
     "rotate-key repo tag", FLAG(now)},
    {"since", 0, "time", "7d", "audit: what happened in this time", "audit", TIME(since_ms, 1)},
    {"repo", 0, "pattern", NULL, "audit: in these repositories", "audit", TEXT(audit_repo)},
    {"user", 'u', "name", NULL, "audit: by this user (- for anonymous clients)", "audit",
     TEXT(audit_user)},
    {"help", 0, NULL, NULL, "print this", STORE " help", FLAG(help), .command_line_only = true},
    {"version", 0, NULL, NULL, "print the version", STORE " help", FLAG(version),
     .command_line_only = true},
};

const size_t options_table_n = sizeof options_table / sizeof *options_table;
_Static_assert(sizeof options_table / sizeof *options_table <= OPTIONS_TABLE_MAX,
               "too many options");

const struct options_row *
options_table_by_name(const char *name, size_t n, const char *command)
{
    const struct options_row *found = NULL;

    for (size_t i = 0; i < options_table_n; i++)
        if (strlen(options_table[i].name) == n && memcmp(options_table[i].name, name, n) == 0 &&
            (found == NULL || options_table_knows(&options_table[i], command)))
            found = &options_table[i];
    return found;
}

const struct options_row *
options_table_by_letter(char letter, const char *command)
{
    const struct options_row *found = NULL;

    for (size_t i = 0; i < options_table_n; i++)
        if (options_table[i].letter != '\0' && options_table[i].letter == letter &&
            (found == NULL || options_table_knows(&options_table[i], command)))
            found = &options_table[i];
    return found;
}

bool
options_table_knows(const struct options_row *row, const char *command)
{
    size_t n = strlen(command);
    for (const char *p = row->commands; *p != '\0'; p += strcspn(p, " "), p += *p == ' ')
        if (strcspn(p, " ") == n && memcmp(p, command, n) == 0)
            return true;
    return false;
}

bool
options_table_in_file(const struct options_row *row)
{
    return options_table_knows(row, "serve") && !row->command_line_only;
}
