#pragma once

/* The files conf/standalone.conf and conf/blocks.conf, as they are; Makefile.am makes conf_data.c
 * out of them. */
extern const char conf_data_standalone[];
extern const char conf_data_blocks[];
