/* A Kafka broker inside one small process, for demonstrations and quick tests: librdkafka's mock
 * cluster.
 *
 *   embedded-broker [TOPIC:PARTITIONS …]
 *
 * It listens on loopback, on a port of the kernel's choice, prints its address as the only line of
 * standard output, and ends on SIGTERM, on SIGINT, or when standard input is closed. It speaks the
 * real protocol, but forgets everything at its end and keeps no transactional offsets, so it proves
 * nothing about exactly-once. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#define NAME_MAX_CHARS 249
#define PARTITIONS_MAX 1000

/* Create the topic of one argument; false when it is not TOPIC:PARTITIONS. */
static bool create_topic(rd_kafka_mock_cluster_t *cluster, const char *argument)
{
	const char *colon = strrchr(argument, ':');
	char name[NAME_MAX_CHARS + 1] = { 0 };
	char *end = NULL;
	long partitions;

	if (!colon || colon == argument || colon - argument > NAME_MAX_CHARS)
		return false;
	partitions = strtol(colon + 1, &end, 10);
	if (*end || end == colon + 1 || partitions < 1 || partitions > PARTITIONS_MAX)
		return false;
	memcpy(name, argument, (size_t)(colon - argument));
	return !rd_kafka_mock_topic_create(cluster, name, (int)partitions, 1);
}

static bool create_topics(rd_kafka_mock_cluster_t *cluster, int argc, char *argv[])
{
	for (int i = 1; i < argc; i++) {
		if (!create_topic(cluster, argv[i])) {
			fprintf(stderr, "embedded-broker: not TOPIC:PARTITIONS: %s\n", argv[i]);
			return false;
		}
	}
	return true;
}

/* Returns when a signal came or nobody holds our standard input any more. */
static void wait_for_end(int signals)
{
	struct pollfd fds[] = { { .fd = signals, .events = POLLIN },
		                { .fd = STDIN_FILENO, .events = POLLIN } };
	char ignored[256];

	while (poll(fds, 2, -1) >= 0) {
		if (fds[0].revents)
			return;
		if (fds[1].revents && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
			return;
	}
}

/* Block the signals before any thread exists, so that only the descriptor sees them. */
static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char *argv[])
{
	int status = EX_UNAVAILABLE;
	int signals = catch_signals();
	rd_kafka_mock_cluster_t *cluster;
	char text[512];
	rd_kafka_t *owner;

	if (signals < 0)
		return EX_OSERR;
	owner = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof(text));
	if (!owner) {
		fprintf(stderr, "embedded-broker: %s\n", text);
		goto close_signals;
	}
	cluster = rd_kafka_mock_cluster_new(owner, 1);
	if (!cluster) {
		fprintf(stderr, "embedded-broker: no cluster\n");
		goto destroy_owner;
	}
	if (!create_topics(cluster, argc, argv)) {
		status = EX_USAGE;
		goto destroy_cluster;
	}
	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	wait_for_end(signals);
	status = EX_OK;
destroy_cluster:
	rd_kafka_mock_cluster_destroy(cluster);
destroy_owner:
	rd_kafka_destroy(owner);
close_signals:
	close(signals);
	return status;
}
