#include "storage/files/body_ahead.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/fdio.h"
#include "util/mem.h"

#define SLOTS 32
#define NAME_ROOM 24
/* Bytes between two looks whether the file was completed. */
#define PIECE ((size_t)256 << 10)
/* Bytes of one file before the next file has its turn. */
#define TURN (UINT64_C(16) << 20)
/* Bytes after which the kernel is asked to begin writing to the disk. */
#define WRITEBACK (UINT64_C(8) << 20)
#define PAUSE_MS 15
/* One of the threads looks for new files, and so often. */
#define SEARCH_MS 60
/* A thread keeps a slot for less than a millisecond after it was asked for it, unless its process
 * is stopped. */
#define LOCK_WAIT_S 2
/* A slot that was unused for this long is given to another file. */
#define SLOT_MS 60000
/* After this many looks that found nothing, the thread sleeps until an upload is announced. */
#define QUIET_LOOKS 40
/* The thread's nice value: nginx goes first, and what isn't hashed ahead is hashed at the end. */
#define NICE 10

struct file_identity {
    uint64_t device, inode;
    int64_t born_s;
    uint32_t born_ns;
};

struct ahead_slot {
    pthread_mutex_t lock;
    atomic_ullong inode; /* of the file, to find it without the lock; 0: free */
    atomic_bool wanted;  /* a process waits for the lock */
    /* Under the lock. */
    struct file_identity file;
    bool frozen;
    uint64_t used_ms;
    uint64_t written; /* the kernel was asked to write this many bytes */
    char name[NAME_ROOM];
    struct digest_begun begun;
};

struct body_ahead_table {
    atomic_uint announced; /* a futex */
    atomic_ullong searched_ms;
    struct ahead_slot slots[SLOTS];
};

struct follower {
    struct body_ahead_table *table;
    int root;
    unsigned char *piece;
};

/* ---- the table ---- */

int
body_ahead_make(struct body_ahead *a, struct err *err)
{
    pthread_mutexattr_t attr;

    a->table =
        mmap(NULL, sizeof *a->table, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (a->table == MAP_FAILED) {
        a->table = NULL;
        return err_errno(err, "cannot share memory between the workers");
    }
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    for (size_t i = 0; i < SLOTS; i++)
        pthread_mutex_init(&a->table->slots[i].lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return 0;
}

void
body_ahead_close(struct body_ahead *a)
{
    if (a->table != NULL)
        munmap(a->table, sizeof *a->table);
    a->table = NULL;
}

static void
clear_slot(struct ahead_slot *s)
{
    atomic_store(&s->inode, 0);
    s->file = (struct file_identity){.inode = 0};
    s->begun = (struct digest_begun){.size = 0};
}

/* After pthread_mutex_lock or trylock. A process that died may have left the slot half changed, so
 * the slot is cleared. */
static bool
has_slot(struct ahead_slot *s, int locked)
{
    if (locked == EOWNERDEAD) {
        clear_slot(s);
        locked = pthread_mutex_consistent(&s->lock);
    }
    return locked == 0;
}

/* False: it has no time of birth, so it can't be told from others. */
static bool
identify_file(int fd, struct file_identity *f, struct statx *st)
{
    unsigned wanted = STATX_BASIC_STATS | STATX_BTIME;

    if (statx(fd, "", AT_EMPTY_PATH, wanted, st) != 0 || (st->stx_mask & wanted) != wanted ||
        !S_ISREG(st->stx_mode))
        return false;
    *f = (struct file_identity){
        .device = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor,
        .inode = st->stx_ino,
        .born_s = st->stx_btime.tv_sec,
        .born_ns = st->stx_btime.tv_nsec,
    };
    return true;
}

static bool
is_same_file(const struct file_identity *a, const struct file_identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->born_s == b->born_s &&
           a->born_ns == b->born_ns;
}

/* Finds and locks the slot of a file. After LOCK_WAIT_S it counts as not there. */
static struct ahead_slot *
find_slot(struct body_ahead_table *t, const struct file_identity *f)
{
    struct timespec until;

    for (size_t i = 0; i < SLOTS; i++) {
        struct ahead_slot *s = &t->slots[i];

        if (atomic_load(&s->inode) != f->inode)
            continue;
        atomic_store(&s->wanted, true);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += LOCK_WAIT_S;
        if (!has_slot(s, pthread_mutex_timedlock(&s->lock, &until)))
            continue;
        atomic_store(&s->wanted, false);
        if (is_same_file(&s->file, f))
            return s;
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

void
body_ahead_freeze(const struct body_ahead *a, int fd)
{
    struct file_identity f;
    struct statx st;
    struct ahead_slot *s;

    if (a == NULL || !identify_file(fd, &f, &st) || (s = find_slot(a->table, &f)) == NULL)
        return;
    s->frozen = true;
    s->used_ms = clock_mono_ms();
    pthread_mutex_unlock(&s->lock);
}

bool
body_ahead_take(const struct body_ahead *a, int fd, struct digest_begun *begun)
{
    struct file_identity f;
    struct statx st;
    struct ahead_slot *s;

    *begun = (struct digest_begun){.size = 0};
    if (a == NULL || !identify_file(fd, &f, &st) || (s = find_slot(a->table, &f)) == NULL)
        return false;
    if (s->begun.size <= st.stx_size)
        *begun = s->begun;
    clear_slot(s);
    pthread_mutex_unlock(&s->lock);
    return begun->size > 0;
}

void
body_ahead_announce(const struct body_ahead *a)
{
    if (a == NULL)
        return;
    atomic_fetch_add(&a->table->announced, 1);
    syscall(SYS_futex, &a->table->announced, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- the thread ---- */

/* A slot that is free, or was not used for long; locked. */
static struct ahead_slot *
choose_slot(struct body_ahead_table *t)
{
    uint64_t now = clock_mono_ms();

    for (size_t i = 0; i < SLOTS; i++) {
        struct ahead_slot *s = &t->slots[i];

        if (!has_slot(s, pthread_mutex_trylock(&s->lock)))
            continue;
        if (s->file.inode == 0 || now > s->used_ms + SLOT_MS)
            return s;
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static bool
is_old_enough(const struct statx *st)
{
    struct timespec now;
    int64_t age_ms;

    clock_gettime(CLOCK_REALTIME, &now);
    age_ms = ((int64_t)now.tv_sec - st->stx_btime.tv_sec) * 1000 +
             ((int64_t)now.tv_nsec - st->stx_btime.tv_nsec) / 1000000;
    return age_ms >= BODY_AHEAD_AGE_MS;
}

/* The slot of a file that has none yet. */
static void
give_slot(struct body_ahead_table *t, const char *name, const struct file_identity *f)
{
    struct ahead_slot *s = choose_slot(t);

    if (s == NULL)
        return;
    clear_slot(s);
    s->file = *f;
    s->frozen = false;
    atomic_store(&s->wanted, false);
    s->written = 0;
    s->used_ms = clock_mono_ms();
    snprintf(s->name, sizeof s->name, "%s", name);
    digest_begun_init(&s->begun);
    atomic_store(&s->inode, f->inode);
    pthread_mutex_unlock(&s->lock);
}

static bool
has_file_slot(struct body_ahead_table *t, uint64_t inode)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (atomic_load(&t->slots[i].inode) == inode)
            return true;
    return false;
}

/* Hashes what is there of the file. The slot is locked. The number of bytes. */
static uint64_t
hash_ahead(const struct follower *w, struct ahead_slot *s, int fd)
{
    uint64_t before = s->begun.size;
    ssize_t n;

    while (!atomic_load(&s->wanted) && s->begun.size - before < TURN &&
           (n = fdio_read_at(fd, w->piece, PIECE, s->begun.size)) > 0) {
        digest_begun_update(&s->begun, w->piece, (size_t)n);
        if (s->begun.size - s->written >= WRITEBACK) {
            sync_file_range(fd, (off_t)s->written, (off_t)(s->begun.size - s->written),
                            SYNC_FILE_RANGE_WRITE);
            s->written = s->begun.size;
        }
        if ((size_t)n < PIECE)
            break;
    }
    if (s->begun.size > before)
        s->used_ms = clock_mono_ms();
    return s->begun.size - before;
}

/* Does the body belong to nginx alone? Before others change it, they give it a second name, and
 * nginx takes its name away only afterwards. */
static bool
is_only_growing(int dir, const struct ahead_slot *s)
{
    struct stat st;

    return fstatat(dir, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == s->file.inode &&
           st.st_nlink == 1;
}

/* One turn of one file. */
static uint64_t
follow_slot(const struct follower *w, int dir, struct ahead_slot *s)
{
    struct digest_begun before;
    struct file_identity f;
    struct statx st;
    uint64_t n = 0;
    int fd = -1;

    errno = 0;
    if (atomic_load(&s->inode) == 0 || !has_slot(s, pthread_mutex_trylock(&s->lock)))
        return 0;
    before = s->begun;
    if (s->file.inode != 0 && !s->frozen)
        fd = openat(dir, s->name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && identify_file(fd, &f, &st) && is_same_file(&s->file, &f) && st.stx_nlink == 1)
        n = hash_ahead(w, s, fd);
    else if (fd < 0 && errno == ENOENT && !s->frozen)
        clear_slot(s); /* its client went away */
    /* Otherwise some of these bytes may be others by now. */
    if (n > 0 && !is_only_growing(dir, s)) {
        s->begun = before;
        n = 0;
    }
    fdio_close(fd);
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* Gives slots to large files that have none. */
static void
find_bodies(const struct follower *w, DIR *dir)
{
    unsigned long long now = clock_mono_ms(), searched = atomic_load(&w->table->searched_ms);
    struct file_identity f;
    struct dirent *de;
    struct statx st;
    int fd;

    if (now < searched + SEARCH_MS ||
        !atomic_compare_exchange_strong(&w->table->searched_ms, &searched, now))
        return;
    while ((de = readdir(dir)) != NULL) {
        if (de->d_type == DT_DIR || de->d_name[0] == '.' || strlen(de->d_name) >= NAME_ROOM ||
            has_file_slot(w->table, de->d_ino))
            continue;
        fd = openat(dirfd(dir), de->d_name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && identify_file(fd, &f, &st) && st.stx_size >= BODY_AHEAD_LEAST &&
            st.stx_nlink == 1 && is_old_enough(&st))
            give_slot(w->table, de->d_name, &f);
        fdio_close(fd);
    }
}

/* One look at all. The number of bytes that were hashed. */
static uint64_t
look_at_bodies(const struct follower *w)
{
    struct err ignored;
    DIR *dir = fdio_opendir(w->root, BODY_AHEAD_DIRECTORY, &ignored);
    uint64_t n = 0;

    if (dir == NULL)
        return 0;
    find_bodies(w, dir);
    for (size_t i = 0; i < SLOTS; i++)
        n += follow_slot(w, dirfd(dir), &w->table->slots[i]);
    closedir(dir);
    return n;
}

static void *
follow_bodies(void *arg)
{
    struct follower *w = arg;
    unsigned seen = 0, quiet = 0, now;

    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* on Linux of a thread */
    for (;;) {
        now = atomic_load(&w->table->announced);
        quiet = now == seen ? quiet + 1 : 0;
        seen = now;
        if (quiet >= QUIET_LOOKS) {
            syscall(SYS_futex, &w->table->announced, FUTEX_WAIT, seen, NULL, NULL, 0);
            continue;
        }
        if (look_at_bodies(w) > PIECE)
            quiet = 0;
        else
            clock_sleep_ms(PAUSE_MS);
    }
    return NULL;
}

void
body_ahead_follow(const struct body_ahead *a, int root)
{
    struct follower *w = mem_alloc(sizeof *w);
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;

    *w = (struct follower){.table = a->table, .root = root, .piece = mem_pages(PIECE)};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the process's first thread */
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, (size_t)256 << 10);
    if (pthread_create(&thread, &attr, follow_bodies, w) != 0) {
        free(w->piece);
        free(w);
    }
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
