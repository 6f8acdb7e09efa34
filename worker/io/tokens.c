/* One token for each tenant: see tokens.h. */
#include "worker/io/tokens.h"

#include <stdlib.h>

struct tokens {
	struct credential *credential; /* Owned */
	struct token **list;           /* Owned; NULL where it could not be made */
	size_t count;
	struct token_waiter first; /* For the default tenant's */
	size_t n_open;
	void (*closed)(void *owner);
	void *closed_owner;
};

static bool make_all(struct tokens *t, const struct tokens_base *base,
                     const struct token_options *options, const struct text_list *tenants,
                     struct err *err)
{
	struct token_options one = *options;

	t->credential = credential_new(base->credential, base->log, err);
	if (!t->credential)
		return false;
	one.credential = t->credential;
	one.recovered = base->recovered;
	one.owner = base->owner;
	t->list = calloc(tenants->count, sizeof(*t->list));
	if (!t->list) {
		err_set(err, "out of memory");
		return false;
	}
	t->count = tenants->count;
	for (size_t i = 0; i < t->count; i++) {
		one.tenant_id = tenants->texts[i];
		one.tenant = (uint32_t)i;
		t->list[i] = token_new(base->http, base->loop, &one, base->log, base->metrics, err);
		if (!t->list[i])
			return false;
	}
	return true;
}

/* What comes of it is logged where it was fetched, and told by token_is_well(). */
static void on_first(void *owner, const char *bearer, const char *problem)
{
	(void)owner;
	(void)bearer;
	(void)problem;
}

struct tokens *tokens_new(const struct tokens_base *base, const struct token_options *options,
                          const struct text_list *tenants, struct err *err)
{
	struct tokens *t = calloc(1, sizeof(*t));

	CHECK(tenants->count > 0);
	if (!t) {
		err_set(err, "out of memory");
		return NULL;
	}
	t->first = (struct token_waiter){ .owner = t, .cb = on_first };
	if (make_all(t, base, options, tenants, err))
		return t;
	tokens_close(t, NULL, NULL);
	return NULL;
}

struct token *tokens_get(const struct tokens *t, uint32_t tenant)
{
	CHECK(tenant < t->count);
	return t->list[tenant];
}

void tokens_start(struct tokens *t)
{
	token_wait(t->list[0], &t->first);
}

bool tokens_were_granted(const struct tokens *t)
{
	return token_was_granted(t->list[0]);
}

bool tokens_are_well(const struct tokens *t, struct buffer *why)
{
	for (size_t i = 0; i < t->count; i++) {
		if (!token_is_well(t->list[i], why))
			return false;
	}
	return true;
}

static void tokens_free(struct tokens *t)
{
	void (*closed)(void *) = t->closed;
	void *owner = t->closed_owner;

	credential_free(t->credential);
	free(t->list);
	free(t);
	if (closed)
		closed(owner);
}

static void on_closed(void *owner)
{
	struct tokens *t = owner;

	if (--t->n_open == 0)
		tokens_free(t);
}

void tokens_close(struct tokens *t, void (*closed)(void *owner), void *owner)
{
	t->closed = closed;
	t->closed_owner = owner;
	/* They are made in their order. */
	while (t->n_open < t->count && t->list[t->n_open])
		t->n_open++;
	if (t->n_open == 0) {
		tokens_free(t);
		return;
	}
	token_cancel(t->list[0], &t->first);
	for (size_t i = 0, n = t->n_open; i < n; i++)
		token_close(t->list[i], on_closed, t);
}
