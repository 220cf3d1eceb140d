#ifndef PROCESS_SERVER_STRAY_NGINX_H
#define PROCESS_SERVER_STRAY_NGINX_H

/* Kills what a dead server or a dead nginx of this data directory has left behind, and waits until
 * it is gone. nginx's workers outlive their master, and go on serving and holding the ports; they
 * are known by their name, by their working directory, and by having no nginx for a parent. Only
 * whoever has the directory's lock may call this, and only while it runs no nginx itself. */
void stray_nginx_kill(int dirfd);

#endif
