/* Attributes and checks that every layer uses. */
#ifndef WORKER_BASE_CHECK_H
#define WORKER_BASE_CHECK_H

/* The caller must look at the result. */
#define MUST_CHECK __attribute__((warn_unused_result))

#define PRINTF_LIKE(nth, first) __attribute__((format(printf, nth, first)))

/* A bug of ours: says where, then aborts. Kept in release builds, unlike assert(). */
#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

_Noreturn void check_failed(const char *condition, const char *file, int line);

#endif
