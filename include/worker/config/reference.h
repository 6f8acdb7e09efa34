/* The table of options as documents. tests/config compares them with the files in config/. */
#ifndef WORKER_CONFIG_REFERENCE_H
#define WORKER_CONFIG_REFERENCE_H

#include "worker/base/buffer.h"

/* Markdown: a table for each section. */
void reference_write_options(struct buffer *out);

/* JSON Schema (draft 2020-12) of the configuration file. */
void reference_write_schema(struct buffer *out);

/* A commented YAML file that names every option with its default. */
void reference_write_example(struct buffer *out);

/* A list for --help, one line for each option. */
void reference_write_help(struct buffer *out);

#endif
