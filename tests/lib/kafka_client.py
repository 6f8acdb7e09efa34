"""Commands in, replies and dead letters out: what a test does at the Kafka side of the worker."""

import json
import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from process import NotReady

QUIET = {"log_level": 0}


def create_missing_topics(bootstrap, topics, replicas=-1):
    """`topics`: partitions by name. `replicas`: -1 is the broker's default."""
    admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})
    try:
        known = admin.list_topics(timeout=10).topics
        wanted = [
            NewTopic(name, count, replicas) for name, count in topics.items() if name not in known
        ]
        for future in admin.create_topics(wanted, operation_timeout=30).values() if wanted else ():
            future.result(60)
    except KafkaException as error:
        raise NotReady(f"the broker at {bootstrap}: {error.args[0].str()}") from None


class Commands:
    """An idempotent producer whose every delivery is checked."""

    def __init__(self, bootstrap, topic="invite-commands", **properties):
        self.topic = topic
        self.failures = []
        settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2}
        self.producer = Producer({**settings, **QUIET, **properties})

    def _delivered(self, error, _message):
        if error:
            self.failures.append(str(error))

    def send(self, command, key=None, partition=None, headers=None):
        """A command as a dict (its key is the callId unless given) or raw bytes with any key."""
        if isinstance(command, dict):
            key = command["callId"] if key is None else key
            command = json.dumps(command).encode()
        where = {} if partition is None else {"partition": partition}
        while True:
            try:
                self.producer.produce(
                    self.topic,
                    command,
                    key=key,
                    headers=headers,
                    on_delivery=self._delivered,
                    **where,
                )
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def flush(self, seconds=30):
        """Every record sent is stored when it returns."""
        left = self.producer.flush(seconds)
        if left or self.failures:
            raise NotReady(f"{left} records undelivered, failures: {self.failures[:5]}")


class Reader:
    """Reads a topic from its beginning or end, committed records only; remembers all it saw."""

    def __init__(self, bootstrap, topic, from_end=False, **properties):
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
        self.topic = topic
        self.records = []
        self.consumer = Consumer({**settings, **QUIET, **properties})
        partitions = self.consumer.list_topics(topic, timeout=30).topics[topic].partitions
        places = [TopicPartition(topic, number, 0) for number in sorted(partitions)]
        for place in places if from_end else ():
            _, place.offset = self.consumer.get_watermark_offsets(place, timeout=30)
        self.consumer.assign(places)

    def poll(self, seconds=0.1):
        """Take what is there; the new records."""
        fresh = []
        for message in self.consumer.consume(1000, seconds):
            error = message.error()
            if error is None:
                fresh.append(message)
            elif error.code() != KafkaError._PARTITION_EOF and not error.retriable():
                raise NotReady(f"{self.topic}: {error}")
        self.records += fresh
        return fresh

    def wait_for(self, count, seconds=30):
        """At least `count` records in all; NotReady when they do not come."""
        deadline = time.monotonic() + seconds
        while len(self.records) < count:
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{self.topic}: {len(self.records)} of {count} records after {seconds} s"
                )
            self.poll()
        return self.records

    def json(self):
        """The values of all records seen so far."""
        return [json.loads(message.value()) for message in self.records]

    def replies(self, count, seconds=30):
        """At least `count` values, each parsed."""
        self.wait_for(count, seconds)
        return self.json()

    def close(self):
        self.consumer.close()


def committed(bootstrap, group, topic):
    """The group's committed offset of each partition that has one."""
    settings = {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False}
    consumer = Consumer({**settings, **QUIET})
    try:
        known = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        asked = [TopicPartition(topic, number) for number in known]
        answers = consumer.committed(asked, timeout=30)
        return {answer.partition: answer.offset for answer in answers if answer.offset >= 0}
    finally:
        consumer.close()
