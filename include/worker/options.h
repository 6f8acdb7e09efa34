/* Every option of the configuration file, declared once; worker/config/ makes the rest of it.
 *
 * OPTION(section, name, type, need, default, least, most, text): values as they are written there.
 * 'least' and 'most' bound a number or a duration, the length of a text, or the items of a list; a
 * CHOICE has its words in 'most'. 'need' is OPTIONAL, REQUIRED, or ADVISED: there is a default, but
 * the example shows a value. An option named 'value' is its whole section: `delivery: WORD`. */
#ifndef WORKER_OPTIONS_H
#define WORKER_OPTIONS_H

#define OPTIONS_SECTIONS(SECTION)                                                                  \
	SECTION(topics, "Kafka topics. They must exist, or the broker must create them.")          \
	SECTION(delivery, "What is promised when a worker dies at the wrong moment.")              \
	SECTION(exactly_once,                                                                      \
	        "How exactly-once delivery is kept; at-least-once uses on_bad_map alone.")         \
	SECTION(evidence, "Where traces of an invite of unknown outcome are looked for.")          \
	SECTION(outcomes, "How invites end, asked of Graph; see also topics.notifications.")       \
	SECTION(consumer, "Membership in the consumer group.")                                     \
	SECTION(commands, "Which commands are taken, and what of them goes into the reply.")       \
	SECTION(batch, "Commands of one call that share a request.")                               \
	SECTION(rate, "Token buckets: a rate, and a burst that may be sent at once.")              \
	SECTION(retry, "What happens after a request that was throttled or failed.")               \
	SECTION(queue, "Bounds that pause a partition until half of its work is done.")            \
	SECTION(graph, "Microsoft Graph and the connections to it.")                               \
	SECTION(login, "The application's access token (OAuth 2.0 client credentials).")           \
	SECTION(admin, "The HTTP server with /livez, /readyz and /metrics.")                       \
	SECTION(drain, "The end of the service.")                                                  \
	SECTION(log, "Lines on standard error.")

#define OPTIONS_topics(OPTION)                                                                     \
	OPTION(topics, commands, NAME, OPTIONAL, "invite-commands", "1", "249",                    \
	       "Topic that commands are read from.")                                               \
	OPTION(topics, replies, NAME, OPTIONAL, "invite-replies", "1", "249",                      \
	       "Topic that replies are written to.")                                               \
	OPTION(                                                                                    \
	    topics, dead_letters, NAME, OPTIONAL, "invite-dead-letters", "1", "249",               \
	    "Topic that gets an exact copy of what is not valid; by option of what failed too.")   \
	OPTION(topics, notifications, NAME, OPTIONAL, "", "0", "249",                              \
	       "Topic of the callbacks that the bot forwards; empty: it is not read.")             \
	OPTION(topics, outcomes, NAME, OPTIONAL, "invite-outcomes", "1", "249",                    \
	       "Topic that the ends of invites are written to, if there is a source for them.")
#define OPTIONS_delivery(OPTION)                                                                   \
	OPTION(delivery, value, CHOICE, OPTIONAL, "exactly-once", "",                              \
	       "exactly-once,at-least-once",                                                       \
	       "exactly-once sends no invite twice; at-least-once may after a crash.")
#define OPTIONS_exactly_once(OPTION)                                                               \
	OPTION(exactly_once, transactional_id, TEXT, OPTIONAL, "", "0", "512",                     \
	       "Stable name of this slot's transactions; empty: GROUP-INSTANCE_ID.")               \
	OPTION(exactly_once, lease, DURATION, OPTIONAL, "7s", "500ms", "10m",                      \
	       "How long a commit allows to send; less than consumer.session_timeout.")            \
	OPTION(exactly_once, commit_deadline, DURATION, OPTIONAL, "3s", "100ms", "7s",             \
	       "A commit without an answer for so long makes the worker join anew.")               \
	OPTION(exactly_once, transaction_timeout, DURATION, OPTIONAL, "5s", "1s", "15m",           \
	       "After so long the broker aborts the transaction of a dead worker.")                \
	OPTION(exactly_once, gap, DURATION, OPTIONAL, "5ms", "3ms", "20ms",                        \
	       "Least time between two transactions; more saves CPU, less saves delay.")           \
	OPTION(exactly_once, on_bad_map, CHOICE, OPTIONAL, "stop", "", "stop,report,trust-offset", \
	       "What becomes of a partition whose committed map cannot be used.")
#define OPTIONS_evidence(OPTION)                                                                   \
	OPTION(evidence, operations, BOOL, OPTIONAL, "true", "", "",                               \
	       "Look among the call's operations: the better evidence.")                           \
	OPTION(evidence, roster, BOOL, OPTIONAL, "true", "", "",                                   \
	       "Look among the call's participants; needs Calls.JoinGroupCall.All.")
#define OPTIONS_outcomes(OPTION)                                                                   \
	OPTION(outcomes, poll, BOOL, OPTIONAL, "false", "", "",                                    \
	       "Ask for accepted operations until they end; Graph may not tell (best effort).")    \
	OPTION(outcomes, poll_interval, DURATION, OPTIONAL, "5s", "100ms", "10m",                  \
	       "Least time between two questions for the same operation.")                         \
	OPTION(outcomes, poll_for, DURATION, OPTIONAL, "2m", "1s", "24h",                          \
	       "An operation that runs longer is not asked for any more.")                         \
	OPTION(outcomes, poll_rate, RATE, OPTIONAL, "10", "0.01", "1000",                          \
	       "Questions per second of this worker; they count against Graph's limits too.")      \
	OPTION(outcomes, poll_most, COUNT, OPTIONAL, "10000", "1", "1000000",                      \
	       "Operations that are followed at a time; more are not asked for.")
#define OPTIONS_consumer(OPTION)                                                                   \
	OPTION(consumer, group, TEXT, OPTIONAL, "invite-worker", "1", "255",                       \
	       "Consumer group; its workers share the partitions.")                                \
	OPTION(consumer, instance_id, TEXT, ADVISED, "", "0", "249",                               \
	       "Stable name of this worker's slot, its own; exactly-once delivery needs it.")      \
	OPTION(consumer, session_timeout, DURATION, OPTIONAL, "10s", "1s", "10m",                  \
	       "After this silence the group gives the worker's partitions to others.")            \
	OPTION(consumer, commit_interval, DURATION, OPTIONAL, "200ms", "10ms", "10s",              \
	       "Least time between two commits of offsets while work goes on.")                    \
	OPTION(consumer, batch, COUNT, OPTIONAL, "500", "1", "10000",                              \
	       "Most records taken in one turn of the event loop.")
#define OPTIONS_commands(OPTION)                                                                   \
	OPTION(commands, require_key, BOOL, OPTIONAL, "true", "", "",                              \
	       "Reject a record whose key is not its callId; false gives up order per call.")      \
	OPTION(commands, max_age, DURATION, OPTIONAL, "1h", "0", "8760h",                          \
	       "Commands whose record is older are answered as expired; 0: no limit.")             \
	OPTION(commands, default_expiry, DURATION, OPTIONAL, "0", "0", "8760h",                    \
	       "A command without expiresAt expires so long after its record's date; 0: never.")   \
	OPTION(commands, dead_letter_failed, BOOL, OPTIONAL, "false", "", "",                      \
	       "Copy what failed, or is unknown, to the dead letters too; keeps open records.")    \
	OPTION(commands, duplicate_window, COUNT, OPTIONAL, "1000", "0", "100000",                 \
	       "Records of a partition in which a commandId counts once; 0: not at all.")          \
	OPTION(commands, copy_headers, NAMES, OPTIONAL, "traceparent,tracestate,correlation-id",   \
	       "0", "16", "Record headers that are copied from a command to its reply.")           \
	OPTION(commands, reply_topics, NAMES, OPTIONAL, "", "0", "32",                             \
	       "Topics that a command may name in its reply-topic header.")
#define OPTIONS_batch(OPTION)                                                                      \
	OPTION(batch, window, DURATION, OPTIONAL, "20ms", "0", "10s",                              \
	       "How long the first command of a batch waits for company; 0: not at all.")          \
	OPTION(batch, max_participants, COUNT, OPTIONAL, "5", "1", "5",                            \
	       "Most participants in one request; Graph documents at most 5.")                     \
	OPTION(batch, phones_alone, BOOL, OPTIONAL, "true", "", "",                                \
	       "Send each phone participant in a request of its own.")
#define OPTIONS_rate(OPTION)                                                                       \
	OPTION(rate, call, RATE, OPTIONAL, "5", "0.01", "1000",                                    \
	       "Requests per second for one call.")                                                \
	OPTION(rate, call_burst, COUNT, OPTIONAL, "5", "1", "10000",                               \
	       "Requests that a call may send at once after a pause.")                             \
	OPTION(rate, application, RATE, OPTIONAL, "3000", "0.01", "100000",                        \
	       "Requests per second for the application in one tenant, all workers together.")     \
	OPTION(rate, application_burst, COUNT, OPTIONAL, "5000", "1", "1000000",                   \
	       "Requests that it may send at once after a pause.")
#define OPTIONS_retry(OPTION)                                                                      \
	OPTION(retry, base, DURATION, OPTIONAL, "1s", "10ms", "1m",                                \
	       "First pause after a throttling answer that names none; it doubles from there.")    \
	OPTION(retry, cap, DURATION, OPTIONAL, "60s", "10ms", "1h",                                \
	       "Longest pause that the doubling reaches.")                                         \
	OPTION(retry, max_hold, DURATION, OPTIONAL, "5m", "1s", "24h",                             \
	       "A command that is held back longer fails; not for want of an access token.")       \
	OPTION(retry, max_attempts, COUNT, OPTIONAL, "20", "1", "1000",                            \
	       "A command fails after so many requests in a row that had no effect.")              \
	OPTION(                                                                                    \
	    retry, settle, DURATION, OPTIONAL, "20s", "0", "10m",                                  \
	    "Pause before evidence is looked for, or a command of unknown outcome is sent again.") \
	OPTION(retry, call_grace, DURATION, OPTIONAL, "2s", "0", "1m",                             \
	       "How long a call that was never seen before may be unknown to Graph.")              \
	OPTION(retry, call_over_memory, DURATION, OPTIONAL, "1m", "0", "1h",                       \
	       "How long commands for a call that is over are answered without a request.")
#define OPTIONS_queue(OPTION)                                                                      \
	OPTION(queue, commands_per_partition, COUNT, OPTIONAL, "2000", "1", "100000",              \
	       "Most commands of one partition without a reply.")                                  \
	OPTION(queue, offsets_per_partition, COUNT, OPTIONAL, "8000", "1", "1000000",              \
	       "Most offsets from the oldest open command to the newest once 480 are open; 10000 " \
	       "at most.")
#define OPTIONS_graph(OPTION)                                                                      \
	OPTION(graph, cloud, CHOICE, OPTIONAL, "global", "", "global,usgov-l4,usgov-dod",          \
	       "Cloud of the tenant: graph.url, login.url and login.scope follow from it.")        \
	OPTION(graph, url, URL, OPTIONAL, "", "0", "2048",                                         \
	       "Root of the service; empty: that of graph.cloud.")                                 \
	OPTION(graph, timeout, DURATION, OPTIONAL, "10s", "100ms", "5m",                           \
	       "For one request, from its start to the whole answer.")                             \
	OPTION(graph, connect_timeout, DURATION, OPTIONAL, "3s", "10ms", "1m",                     \
	       "For looking up the name, connecting and TLS together.")                            \
	OPTION(graph, max_in_flight, COUNT, OPTIONAL, "256", "1", "10000",                         \
	       "Most requests sent and not answered.")                                             \
	OPTION(graph, min_in_flight, COUNT, OPTIONAL, "8", "1", "10000",                           \
	       "So few of them are allowed, step by step, while Graph is slow or fails.")          \
	OPTION(graph, breaker_failures, COUNT, OPTIONAL, "10", "0", "10000",                       \
	       "After so many failures in a row only single probes are sent; 0: never.")           \
	OPTION(graph, breaker_pause, DURATION, OPTIONAL, "15s", "10ms", "10m",                     \
	       "Longest pause before a probe; the first is retry.base, and it doubles.")           \
	OPTION(graph, max_connections, COUNT, OPTIONAL, "256", "1", "10000",                       \
	       "Most connections to one host.")                                                    \
	OPTION(graph, ca_file, FILE, OPTIONAL, "", "0", "4095",                                    \
	       "PEM file of the authorities to trust; empty: those of the system.")                \
	OPTION(graph, proxy, URL, OPTIONAL, "", "0", "2048",                                       \
	       "HTTP proxy; empty: none, whatever the environment says.")
#define OPTIONS_login(OPTION)                                                                      \
	OPTION(login, url, URL, OPTIONAL, "", "0", "2048",                                         \
	       "Authority that issues tokens; empty: that of graph.cloud.")                        \
	OPTION(login, tenant_id, NAME, REQUIRED, "", "1", "255",                                   \
	       "Directory (tenant) in which the application signs in: its id or domain.")          \
	OPTION(login, other_tenants, NAMES, OPTIONAL, "", "0", "63",                               \
	       "More tenants in which it signs in, for commands that name one.")                   \
	OPTION(login, client_id, NAME, REQUIRED, "", "1", "255",                                   \
	       "Id of the application, or of a user-assigned managed identity; others need none.") \
	OPTION(login, credential, CHOICE, OPTIONAL, "auto", "",                                    \
	       "auto,client-secret,certificate,federated-token,managed-identity",                  \
	       "How the application signs in; auto: by what is given below.")                      \
	OPTION(login, client_secret, SECRET, ADVISED, "", "1", "16384", "Its client secret.")      \
	OPTION(login, certificate, SECRET, OPTIONAL, "", "1", "65536",                             \
	       "Its certificate in PEM, with the private key (RSA, not encrypted).")               \
	OPTION(login, certificate_key, SECRET, OPTIONAL, "", "1", "65536",                         \
	       "The private key in PEM, when it is not in login.certificate.")                     \
	OPTION(login, certificate_algorithm, CHOICE, OPTIONAL, "PS256", "", "PS256,RS256",         \
	       "Signature; RS256 names the certificate by its SHA-1, for older services.")         \
	OPTION(login, federated_token, SECRET, OPTIONAL, "", "1", "16384",                         \
	       "Token of a workload identity; its file: also from AZURE_FEDERATED_TOKEN_FILE.")    \
	OPTION(login, identity_url, URL, OPTIONAL,                                                 \
	       "http://169.254.169.254/metadata/identity/oauth2/token", "1", "2048",               \
	       "Where a managed identity gets its tokens.")                                        \
	OPTION(login, scope, TEXT, OPTIONAL, "", "0", "2048",                                      \
	       "Scope of the token; empty: that of the host in graph.url, /.default.")             \
	OPTION(login, timeout, DURATION, OPTIONAL, "10s", "100ms", "2m", "For fetching a token.")
#define OPTIONS_admin(OPTION)                                                                      \
	OPTION(admin, enabled, BOOL, OPTIONAL, "true", "", "", "Whether the server runs.")         \
	OPTION(admin, address, ADDRESS, OPTIONAL, "127.0.0.1", "2", "45",                          \
	       "IPv4 or IPv6 address to listen on; 0.0.0.0 opens it to every interface.")          \
	OPTION(admin, port, COUNT, OPTIONAL, "9464", "0", "65535", "Port; 0: the kernel chooses.")
#define OPTIONS_drain(OPTION)                                                                      \
	OPTION(drain, timeout, DURATION, OPTIONAL, "25s", "0", "10m",                              \
	       "After SIGTERM: how long work in hand may take to end.")
#define OPTIONS_log(OPTION)                                                                        \
	OPTION(log, level, CHOICE, OPTIONAL, "info", "", "error,warn,info,debug",                  \
	       "Most talkative level that is written.")

#endif
