/* Lists of what is to be done; their memory is used again from step to step. */
#include "worker/core/effects.h"

#include <stdlib.h>

#define TRACE_MAX      (1024 * 1024)
#define FIRST_CAPACITY 16

void effects_init(struct effects *f)
{
	*f = (struct effects){ 0 };
	buffer_init(&f->trace, TRACE_MAX);
}

static void write_free(struct effect_write *w)
{
	free(w->headers);
	buffer_close(&w->text);
	free(w);
}

void effects_close(struct effects *f)
{
	for (size_t i = 0; i < f->posts_capacity; i++) {
		if (f->posts[i])
			buffer_close(&f->posts[i]->body);
		free(f->posts[i]);
	}
	for (size_t i = 0; i < f->writes_capacity; i++)
		if (f->writes[i])
			write_free(f->writes[i]);
	free(f->marks);
	free(f->posts);
	free(f->writes);
	free(f->alarms);
	free(f->touches);
	free(f->looks);
	free(f->follows);
	free(f->alerts);
	free(f->notices);
	free(f->fetches);
	free(f->quiet);
	buffer_close(&f->trace);
	effects_init(f);
}

void effects_clear(struct effects *f)
{
	f->n_marks = 0;
	f->n_posts = 0;
	f->n_writes = 0;
	f->n_alarms = 0;
	f->n_touches = 0;
	f->n_looks = 0;
	f->n_follows = 0;
	f->n_alerts = 0;
	f->n_notices = 0;
	f->n_fetches = 0;
	f->n_quiet = 0;
	buffer_clear(&f->trace);
}

/* Make room for one more element; new memory is zeroed. Returns the list, or NULL. */
static void *grow(struct effects *f, void *list, size_t n, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : FIRST_CAPACITY;
	char *grown;

	if (n < *capacity)
		return list;
	grown = realloc(list, wanted * size);
	if (!grown) {
		f->out_of_memory = true;
		return NULL;
	}
	memset(grown + *capacity * size, 0, (wanted - *capacity) * size);
	*capacity = wanted;
	return grown;
}

/* Makes room in list 'name'; returns from the function with 'result' when there is none. */
#define GROW_OR_RETURN(f, name, result)                                                            \
	do {                                                                                       \
		void *grown_ =                                                                     \
		    grow(f, (f)->name, (f)->n_##name, &(f)->name##_capacity, sizeof(*(f)->name));  \
		if (!grown_)                                                                       \
			return result;                                                             \
		(f)->name = grown_;                                                                \
	} while (0)

void effects_mark(struct effects *f, uint64_t invite_id, int32_t partition)
{
	GROW_OR_RETURN(f, marks, );
	f->marks[f->n_marks++] =
	    (struct effect_mark){ .invite_id = invite_id, .partition = partition };
}

struct effect_post *effects_post(struct effects *f)
{
	struct effect_post **slot;

	GROW_OR_RETURN(f, posts, NULL);
	slot = &f->posts[f->n_posts];
	if (!*slot) {
		*slot = calloc(1, sizeof(**slot));
		if (!*slot) {
			f->out_of_memory = true;
			return NULL;
		}
		buffer_init(&(*slot)->body, SIZE_MAX / 2);
	}
	buffer_clear(&(*slot)->body);
	f->n_posts++;
	return *slot;
}

struct effect_write *effects_write(struct effects *f)
{
	struct effect_write **slot;

	GROW_OR_RETURN(f, writes, NULL);
	slot = &f->writes[f->n_writes];
	if (!*slot) {
		*slot = calloc(1, sizeof(**slot));
		if (!*slot) {
			f->out_of_memory = true;
			return NULL;
		}
		buffer_init(&(*slot)->text, SIZE_MAX / 2);
	}
	buffer_clear(&(*slot)->text);
	(*slot)->n_headers = 0;
	(*slot)->has_key = false;
	f->n_writes++;
	return *slot;
}

void effects_alarm(struct effects *f, uint64_t id, instant_t at)
{
	GROW_OR_RETURN(f, alarms, );
	f->alarms[f->n_alarms++] = (struct effect_alarm){ .id = id, .at = at };
}

void effects_touch(struct effects *f, int32_t partition)
{
	/* One step settles offsets of few partitions. */
	for (size_t i = 0; i < f->n_touches; i++)
		if (f->touches[i] == partition)
			return;
	GROW_OR_RETURN(f, touches, );
	f->touches[f->n_touches++] = partition;
}

void effects_look(struct effects *f, const struct effect_look *look)
{
	GROW_OR_RETURN(f, looks, );
	f->looks[f->n_looks++] = *look;
}

void effects_follow(struct effects *f, const struct effect_follow *follow)
{
	GROW_OR_RETURN(f, follows, );
	f->follows[f->n_follows++] = *follow;
}

void effects_alert(struct effects *f, const struct effect_alert *alert)
{
	GROW_OR_RETURN(f, alerts, );
	f->alerts[f->n_alerts++] = *alert;
}

void effects_notice(struct effects *f, const struct effect_notice *notice)
{
	GROW_OR_RETURN(f, notices, );
	f->notices[f->n_notices++] = *notice;
}

void effects_fetch(struct effects *f, int32_t partition, bool paused)
{
	GROW_OR_RETURN(f, fetches, );
	f->fetches[f->n_fetches++] =
	    (struct effect_fetch){ .partition = partition, .paused = paused };
}

void effects_quiet(struct effects *f, int32_t partition)
{
	GROW_OR_RETURN(f, quiet, );
	f->quiet[f->n_quiet++] = partition;
}

void effects_header(struct effects *f, struct effect_write *write, struct bytes name,
                    struct bytes value, bool is_null)
{
	void *grown = grow(f, write->headers, write->n_headers, &write->headers_capacity,
	                   sizeof(*write->headers));

	if (!grown)
		return;
	write->headers = grown;
	write->headers[write->n_headers++] =
	    (struct record_header){ .name = name, .value = value, .is_null = is_null };
}
#undef GROW_OR_RETURN
