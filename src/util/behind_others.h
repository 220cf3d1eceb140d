#pragma once

/* Work that takes long, and yields to what other processes of the machine have to do: it has a
 * thread with a higher nice value, for which the caller waits. Without a thread (because of the
 * limit on processes, for example) the caller does it. */
int behind_others(int (*fn)(void *arg), void *arg);
