#pragma once

/* Kills the processes that a dead server or a dead nginx of this data directory left, and waits for
 * their end. nginx's workers outlive their master, and keep serving and holding the ports. They are
 * identified by their name, by their working directory, and by a parent that is no nginx. Only the
 * holder of the directory's lock may call this, only while it runs no nginx, and with the right
 * that shields nginx (PRIVILEGES_SHIELDS) in use: otherwise their directory can't be seen. */
void stray_nginx_kill(int dirfd);
