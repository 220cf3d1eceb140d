#include "process/commands/command_table.h"
#include "process/commands/command_access.h"
#include "process/commands/command_audit.h"
#include "process/commands/command_backup.h"
#include "process/commands/command_check.h"
#include "process/commands/command_explain.h"
#include "process/commands/command_export.h"
#include "process/commands/command_gc.h"
#include "process/commands/command_find.h"
#include "process/commands/command_fsck.h"
#include "process/commands/command_help.h"
#include "process/commands/command_hooks.h"
#include "process/commands/command_import.h"
#include "process/commands/command_migrate.h"
#include "process/commands/command_nginx_conf.h"
#include "process/commands/command_retain.h"
#include "process/commands/command_rebuild.h"
#include "process/commands/command_restore.h"
#include "process/commands/command_repo.h"
#include "process/commands/command_rotate_key.h"
#include "process/commands/command_show.h"
#include "process/commands/command_snapshot.h"
#include "process/commands/command_tag.h"
#include "process/commands/command_stat.h"
#include "process/commands/command_top.h"
#include "process/commands/command_upgrade.h"
#include "process/commands/command_user.h"

/* In the order of --help. */
const struct command command_table[] = {
    {"user", command_user, NULL,
     "  user add [name]          give a user a password: asked for, or from stdin\n"
     "  user del [name]          remove a user\n"
     "  user passwd [name]       give a user who is there another one\n"
     "  user verify [name]       say whether a password is right\n"
     "  user list                print the users\n"},
    {"access", command_access, NULL,
     "  access check [user] [verb] [name:tag]  tell which line of the rules decides\n"
     "  access list [user]       print the lines of the rules, or those for this user\n"},
    {"rotate-key", command_rotate_key, NULL,
     "  rotate-key               replace the key of tokens\n"},
    {"hooks", command_hooks, command_hooks_work,
     "  hooks                    list those that wait, run or failed\n"
     "  hooks test [hook] [name:tag]  run a hook by hand, as after a push of this tag\n"},
    {"tag", command_tag, command_tag_work,
     "  tag ls [name]            list the tags of a repository\n"
     "  tag history [name:tag]   print when and by whom a tag was moved\n"
     "  tag undo [name:tag]      put a tag back to what it named before\n"
     "  tag restore [name:tag]   put back a tag that was deleted\n"
     "  tag rm [name:tag]        delete a tag\n"},
    {"import", command_import, command_import_work,
     "  import [path]            take over images of a registry, or of an archive\n"},
    {"export", command_export, command_export_work,
     "  export [name] ...        write images (NAME[:TAG], NAME@DIGEST) as OCI layout\n"},
    {"gc", command_gc, command_gc_work,
     "  gc                       collect garbage now, and say what went and waits\n"},
    {"retain", command_retain, command_retain_work,
     "  retain                   delete the tags that no rule of retention keeps\n"},
    {"backup", command_backup, command_backup_work,
     "  backup [directory]       save everything, in a new directory each time\n"},
    {"restore", command_restore, NULL,
     "  restore [backup]         make a new data directory of a backup\n"
     "  restore --snapshot       put the database back, without a server\n"},
    {"migrate", command_migrate, command_migrate_work,
     "  migrate                  move metadata to PostgreSQL, and perhaps the layers\n"},
    {"fsck", command_fsck, command_fsck_work,
     "  fsck                     look whether the database and all files are whole\n"},
    {"explain", command_explain, command_explain_work,
     "  explain [digest]         tell why it, or name:tag, is kept, and until when\n"},
    {"find", command_find, command_find_work,
     "  find [glob]              print which images have such files, or such a label\n"},
    {"show", command_show, command_show_work,
     "  show [name:tag]          print what an image is: config, layers, referrers\n"},
    {"repo", command_repo, command_repo_work,
     "  repo ls [pattern]        list repositories with their tags and sizes\n"
     "  repo du [name]           tell what takes space, and what deletions free\n"
     "  repo rm [name]           delete all tags and manifests of a repository\n"},
    {"stat", command_stat, command_stat_work,
     "  stat                     print how the registry is, on one screen\n"},
    {"top", command_top, command_top_work,
     "  top                      print how the registry is, every two seconds\n"},
    {"audit", command_audit, command_audit_work,
     "  audit                    tell who pushed, moved and deleted what\n"},
    {"snapshot", command_snapshot, command_snapshot_work,
     "  snapshot                 copy the database, so that it can be put back\n"},
    {"rebuild", command_rebuild, command_rebuild_work,
     "  rebuild                  find blobs that the database doesn't know\n"},
    {"check", command_check, NULL,
     "  check                    look for faults in all that a start needs\n"},
    {"upgrade", command_upgrade, NULL,
     "  upgrade                  let this program replace a running server's\n"},
    {"print-nginx-conf", command_nginx_conf, NULL,
     "  print-nginx-conf         print what your own nginx includes (with --fastcgi)\n"},
    {"help", command_help, NULL,
     "  help [topic]             show a manual page; without a topic, list the topics\n"},
};

const size_t command_table_n = sizeof command_table / sizeof *command_table;

const struct command *
command_table_find(const char *name)
{
    for (size_t i = 0; i < command_table_n; i++)
        if (strcmp(command_table[i].name, name) == 0)
            return &command_table[i];
    return NULL;
}
