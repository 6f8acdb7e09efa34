/* A YAML file as a tree of nodes that know their line and column. */
#ifndef WORKER_CONFIG_NODE_H
#define WORKER_CONFIG_NODE_H

#include "worker/config/problems.h"

#define NODE_FILE_MAX  (1024 * 1024) /* Bytes of a file */
#define NODE_DEPTH_MAX 16            /* Nodes inside each other */
#define NODE_COUNT_MAX 10000         /* Nodes of a file */

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	struct place place;
	bool plain;         /* A scalar without quotes */
	char *text;         /* Of a scalar, owned; "" otherwise. Contains no NUL */
	struct node *items; /* Of a LIST; of a MAP: key, value, key, value … Owned */
	size_t count;
	size_t capacity;
};

/* Read a file. Returns 0 and the tree, or -1 after adding the problem that ended it. An empty file
 * is a NODE_NULL. */
int node_read(const char *path, struct node *ret, struct problems *problems) MUST_CHECK;

/* Release the tree; a zeroed node is allowed. Texts are wiped, as they may be secrets. */
void node_close(struct node *node);

/* "a list", "a text" and so on, for people. */
const char *node_kind_text(const struct node *node);

#endif
