/* What a test says of its world, and the fixture that gives it one. */
#ifndef TESTS_ENGINE_EXPECT_H
#define TESTS_ENGINE_EXPECT_H

#include "engine/world.h"

/* The same with another policy, for a test whose fixture has opened the world. */
void world_reopen(struct world *w, struct policy policy);

/* A fixture of cmocka: a world with world_policy() as '*state'. */
int world_setup(void **state);
int world_teardown(void **state);

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

void expect_trace(struct world *w, const char *text);
void expect_requests(struct world *w, size_t n, const char *const who[]);
#define EXPECT_REQUESTS(w, ...)                                                                    \
	expect_requests(w, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *),          \
	                (const char *const[]){ __VA_ARGS__ })
void expect_status(struct world *w, int64_t offset, const char *status);
void expect_error(struct world *w, int64_t offset, const char *code);
void expect_evidence(struct world *w, int64_t offset, const char *evidence);
void expect_message(struct world *w, int64_t offset, const char *part);
void expect_attempts(struct world *w, int64_t offset, json_int_t attempts);
void expect_no_reply(struct world *w, int64_t offset);
void expect_stored(struct world *w, int64_t offset);

/* Milliseconds that the command of partition 0 waited for what 'member' of its reply names. */
int64_t waited_for(struct world *w, int64_t offset, const char *member);

/* Every command has exactly one reply, all is stored, and no timer is left. */
void expect_all_done(struct world *w);

/* The same in the end, when requests are accepted by themselves from here on. */
void expect_rest_done(struct world *w);

#endif
