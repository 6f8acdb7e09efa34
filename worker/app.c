/* Builds the parts, runs the loop, and takes the parts down in the opposite order: see app.h. */
#include "worker/app.h"

#include "worker/io/admin.h"
#include "worker/io/clock.h"
#include "worker/io/driver.h"
#include "worker/io/notifications.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#ifdef WORKER_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* How long leaving the group, or the end of the producer, may take: what matters is stored by then.
 */
#define LEAVE_DEADLINE_MS 5000

/* Replies in one transaction: more would make it long, and what waits for it late. */
#define TRANSACTION_WRITES 1000

/* How often memory that is free goes back to the system. */
#define TRIM_MS 1000

struct app {
	const struct config *config;
	uv_loop_t loop;
	struct log log;
	struct metrics metrics;
	struct driver *driver;
	struct notifications *notifications; /* NULL: not wanted, or gone */
	char *outcomes_group;                /* Owned: that of the notifications */
	struct admin *admin;
	uv_signal_t sigterm;
	uv_signal_t sigint;
	uv_timer_t trim;
	int exit_code;
};

static void notify(const char *state)
{
#ifdef WORKER_HAVE_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

static struct policy make_policy(const struct config *c)
{
	struct policy policy = policy_default();

	policy.reply_topic = c->topics.replies;
	policy.dead_letter_topic = c->topics.dead_letters;
	policy.tenants =
	    (struct text_list){ (const char *const *)c->tenants.list, c->tenants.count };
	policy.graph_url = c->graph.url;
	policy.require_key = c->commands.require_key;
	policy.max_age = c->commands.max_age;
	policy.default_expiry = c->commands.default_expiry;
	policy.dead_letter_failed = c->commands.dead_letter_failed;
	policy.copy_headers =
	    (struct text_list){ (const char *const *)c->commands.copy_headers.list,
		                c->commands.copy_headers.count };
	policy.reply_topics =
	    (struct text_list){ (const char *const *)c->commands.reply_topics.list,
		                c->commands.reply_topics.count };
	policy.batch_window = c->batch.window;
	policy.batch_max = c->batch.max_participants;
	policy.phones_alone = c->batch.phones_alone;
	policy.call_rate = c->rate.call;
	policy.call_burst = c->rate.call_burst;
	policy.application_rate = c->rate.application;
	policy.application_burst = c->rate.application_burst;
	policy.share_delay = c->consumer.session_timeout;
	policy.max_in_flight = c->graph.max_in_flight;
	policy.min_in_flight = c->graph.min_in_flight;
	policy.breaker_row = c->graph.breaker_failures;
	policy.breaker_cap = c->graph.breaker_pause;
	policy.exactly_once = c->delivery.value == CONFIG_EXACTLY_ONCE;
	policy.follow_operations = c->outcomes.poll;
	policy.look_at_operations = c->evidence.operations;
	policy.look_at_roster = c->evidence.roster;
	policy.on_bad_map = (enum bad_map)c->exactly_once.on_bad_map;
	policy.history = c->commands.duplicate_window;
	policy.retry_base = c->retry.base;
	policy.retry_cap = c->retry.cap;
	policy.max_hold = c->retry.max_hold;
	policy.max_attempts = c->retry.max_attempts;
	policy.settle = c->retry.settle;
	policy.call_grace = c->retry.call_grace;
	policy.call_over_memory = c->retry.call_over_memory;
	policy.commands_per_partition = c->queue.commands_per_partition;
	policy.offsets_per_partition = c->queue.offsets_per_partition;
	policy.seed = (uint64_t)clock_now().us ^ (uint64_t)uv_os_getpid() << 32;
	policy.trace = c->log.level == LOG_DEBUG;
	return policy;
}

static struct delivery_options make_delivery(const struct config *c)
{
	bool exactly_once = c->delivery.value == CONFIG_EXACTLY_ONCE;

	return (struct delivery_options){
		.exactly_once = exactly_once,
		.kafka = c->kafka,
		.consumer = {
			.kafka = &c->kafka,
			.topic = c->topics.commands,
			.group = c->consumer.group,
			.instance_id = c->consumer.instance_id,
			.batch = c->consumer.batch,
			.session_timeout = c->consumer.session_timeout,
			.history = c->commands.duplicate_window,
		},
		.committer = {
			.marks_are_commits = exactly_once,
			.interval = c->consumer.commit_interval,
			.deadline = c->exactly_once.commit_deadline,
			.lease = c->exactly_once.lease,
		},
		.transaction = {
			.kafka = &c->kafka,
			.transactional_id = c->exactly_once.transactional_id,
			.timeout = c->exactly_once.transaction_timeout,
			.gap = c->exactly_once.gap,
			.max_writes = TRANSACTION_WRITES,
		},
		.leave_deadline = duration_ms(LEAVE_DEADLINE_MS),
	};
}

static struct polls_options make_polls(const struct config *c)
{
	return (struct polls_options){
		.is_wanted = c->outcomes.poll,
		.policy = { .commands_topic = c->topics.commands,
		            .interval = c->outcomes.poll_interval,
		            .patience = c->outcomes.poll_for,
		            .rate = c->outcomes.poll_rate,
		            .most = c->outcomes.poll_most },
		.outcomes_topic = c->topics.outcomes,
		.kafka = c->kafka,
		.leave_deadline = duration_ms(LEAVE_DEADLINE_MS),
	};
}

static struct secret_source source_of(const struct config_secret *secret)
{
	return (struct secret_source){ .text = secret->text, .file = secret->file };
}

static struct credential_options make_credential(const struct config *c)
{
	static const enum credential_kind kinds[] = {
		[CONFIG_CLIENT_SECRET] = CREDENTIAL_CLIENT_SECRET,
		[CONFIG_CERTIFICATE] = CREDENTIAL_CERTIFICATE,
		[CONFIG_FEDERATED_TOKEN] = CREDENTIAL_FEDERATED_TOKEN,
		[CONFIG_MANAGED_IDENTITY] = CREDENTIAL_MANAGED_IDENTITY,
	};
	const struct config_login *login = &c->login;
	struct credential_options options = {
		.kind = kinds[login->credential],
		.algorithm = (enum assertion_algorithm)login->certificate_algorithm,
		.identity_url = login->identity_url,
	};

	CHECK(login->credential != CONFIG_AUTO);
	if (options.kind == CREDENTIAL_CLIENT_SECRET)
		options.secret = source_of(&login->client_secret);
	else if (options.kind == CREDENTIAL_FEDERATED_TOKEN)
		options.secret = source_of(&login->federated_token);
	else if (options.kind == CREDENTIAL_CERTIFICATE)
		options.secret = source_of(&login->certificate);
	if (options.kind == CREDENTIAL_CERTIFICATE)
		options.key = source_of(&login->certificate_key);
	return options;
}

static struct driver_options make_options(const struct config *c)
{
	return (struct driver_options){
		.policy = make_policy(c),
		.delivery = make_delivery(c),
		.http = {
			.ca_file = c->graph.ca_file,
			.proxy = c->graph.proxy,
			.user_agent = "invite-worker/" WORKER_VERSION,
			.max_connections = c->graph.max_connections,
			.connect_timeout = c->graph.connect_timeout,
		},
		.credential = make_credential(c),
		.token = {
			.login_url = c->login.url,
			.tenant_id = c->login.tenant_id,
			.client_id = c->login.client_id ? c->login.client_id : "",
			.scope = c->login.scope,
			.timeout = c->login.timeout,
		},
		.graph = { .url = c->graph.url, .timeout = c->graph.timeout },
		.polls = make_polls(c),
		.drain_timeout = c->drain.timeout,
	};
}

/* Of the notifications: a group beside that of the commands, of the same members. */
static struct delivery_options make_notification_delivery(const struct config *c, const char *group)
{
	return (struct delivery_options){
		.kafka = c->kafka,
		.consumer = {
			.kafka = &c->kafka,
			.topic = c->topics.notifications,
			.group = group,
			.instance_id = c->consumer.instance_id,
			.batch = c->consumer.batch,
			.session_timeout = c->consumer.session_timeout,
		},
		.committer = {
			.interval = c->consumer.commit_interval,
			.deadline = c->exactly_once.commit_deadline,
		},
		.leave_deadline = duration_ms(LEAVE_DEADLINE_MS),
	};
}

static enum admin_health on_health(void *owner, struct buffer *why)
{
	static const enum admin_health healths[] = {
		[DRIVER_UNREADY] = ADMIN_UNREADY,
		[DRIVER_DEGRADED] = ADMIN_DEGRADED,
		[DRIVER_READY] = ADMIN_READY,
	};
	struct app *app = owner;

	if (app->driver)
		return healths[driver_health(app->driver, why)];
	buffer_append_text(why, "the worker is stopping");
	return ADMIN_UNREADY;
}

static void on_metrics(void *owner, struct buffer *page)
{
	struct app *app = owner;

	metrics_write(&app->metrics, page);
}

/* Nothing that works is left: let go of what keeps the loop alive. */
static void close_rest(struct app *app)
{
	if (app->driver || app->notifications)
		return;
	if (app->admin)
		admin_close(app->admin, NULL, NULL);
	uv_close((uv_handle_t *)&app->sigterm, NULL);
	uv_close((uv_handle_t *)&app->sigint, NULL);
	uv_close((uv_handle_t *)&app->trim, NULL);
}

static void stop(struct app *app)
{
	if (app->driver)
		driver_stop(app->driver);
	if (app->notifications)
		notifications_stop(app->notifications);
}

static void on_stopped(void *owner, enum driver_end end)
{
	static const int codes[] = {
		[DRIVER_DRAINED] = EX_OK,
		[DRIVER_OUT_OF_TIME] = EX_TEMPFAIL,
		[DRIVER_FAILED] = EX_UNAVAILABLE,
	};
	struct app *app = owner;

	if (app->exit_code == EX_OK)
		app->exit_code = codes[end];
	app->driver = NULL;
	stop(app);
	close_rest(app);
}

/* One part that cannot go on ends the whole: whoever supervises the process starts it anew. */
static void on_notifications_stopped(void *owner, bool has_failed)
{
	struct app *app = owner;

	if (has_failed && app->exit_code == EX_OK)
		app->exit_code = EX_UNAVAILABLE;
	app->notifications = NULL;
	stop(app);
	close_rest(app);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct app *app = handle->data;

	log_info(&app->log, "app.stopping", "signal=%d", number);
	notify("STOPPING=1");
	stop(app);
}

static void watch_signal(struct app *app, uv_signal_t *handle, int number)
{
	uv_signal_init(&app->loop, handle);
	handle->data = app;
	uv_signal_start(handle, on_signal, number);
}

/* What a burst took is free again, but in pieces: glibc returns of itself only what lies at the end
 * of its heap. It takes half a millisecond, rarely more than two. */
static void on_trim(uv_timer_t *timer)
{
	(void)timer;
	malloc_trim(0);
}

static void begin_trimming(struct app *app)
{
	uv_timer_init(&app->loop, &app->trim);
	uv_timer_start(&app->trim, on_trim, TRIM_MS, TRIM_MS);
}

static int open_admin(struct app *app, struct err *err)
{
	const struct config *c = app->config;
	const struct admin_options options = { .address = c->admin.address,
		                               .port = (uint16_t)c->admin.port };
	const struct admin_callbacks callbacks = { .owner = app,
		                                   .health = on_health,
		                                   .metrics = on_metrics };

	if (!c->admin.enabled)
		return 0;
	app->admin = admin_new(&app->loop, &options, &callbacks, &app->log, err);
	if (!app->admin)
		return -1;
	return 0;
}

static int open_notifications(struct app *app, struct err *err)
{
	const struct config *c = app->config;
	struct notifications_options options = {
		.commands_topic = c->topics.commands,
		.outcomes_topic = c->topics.outcomes,
		.drain_timeout = c->drain.timeout,
	};

	if (!c->topics.notifications)
		return 0;
	CHECK(asprintf(&app->outcomes_group, "%s-outcomes", c->consumer.group) >= 0);
	options.delivery = make_notification_delivery(c, app->outcomes_group);
	app->notifications = notifications_new(&app->loop, &options, on_notifications_stopped, app,
	                                       &app->log, &app->metrics, err);
	if (!app->notifications)
		return -1;
	return notifications_start(app->notifications, err);
}

/* All or nothing; what was begun is closed by the loop. */
static int start(struct app *app)
{
	const struct driver_options options = make_options(app->config);
	struct err err = { .msg = "" };

	app->driver =
	    driver_new(&app->loop, &options, &app->log, &app->metrics, on_stopped, app, &err);
	if (app->driver && open_admin(app, &err) == 0 && open_notifications(app, &err) == 0 &&
	    driver_start(app->driver, &err) == 0)
		return 0;
	log_error(&app->log, "app.start-failed", "error=\"%s\"", err.msg);
	app->exit_code = EX_UNAVAILABLE;
	stop(app);
	return -1;
}

int app_run(const struct config *config)
{
	struct app app = { .config = config, .exit_code = EX_OK };

	log_init(&app.log, stderr, (enum log_level)config->log.level);
	/* A peer that closes a TLS connection must not end the process. */
	signal(SIGPIPE, SIG_IGN);
	if (uv_loop_init(&app.loop) != 0) {
		log_error(&app.log, "app.start-failed", "error=\"no event loop\"");
		return EX_OSERR;
	}
	watch_signal(&app, &app.sigterm, SIGTERM);
	watch_signal(&app, &app.sigint, SIGINT);
	begin_trimming(&app);
	if (start(&app) == 0) {
		log_info(&app.log, "app.started", "version=%s", WORKER_VERSION);
		notify("READY=1");
	}
	uv_run(&app.loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&app.loop) == 0);
	free(app.outcomes_group);
	log_info(&app.log, "app.stopped", "exit=%d", app.exit_code);
	return app.exit_code;
}
