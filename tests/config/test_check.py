"""`invite-worker check` finds every mistake, and says where it is and what was expected."""

import pytest

from program import KAFKA, LOGIN, MISTAKES, run

NAME = "a name of letters, digits, '.', '_' and '-'"

# A file that is right but for these lines in front; what is printed behind the file's name.
CASES = {
    "a mistyped option": (
        "batch:\n  windw: 1s\n",
        ["2:3: batch.windw: there is no such option; did you mean batch.window?"],
    ),
    "an option of another section": (
        "retry:\n  max_age: 1h\n",
        ["2:3: retry.max_age: there is no such option; did you mean commands.max_age?"],
    ),
    "an option like no other": (
        "batch:\n  zzzzzzzzz: 1\n",
        ["2:3: batch.zzzzzzzzz: there is no such option"],
    ),
    "a mistyped section": (
        "btch:\n  window: 1s\n",
        ["1:1: btch: there is no such section; did you mean batch?"],
    ),
    "an option without its section": (
        "window: 1s\n",
        ["1:1: window: there is no such option; did you mean batch.window?"],
    ),
    "an option twice": (
        "batch:\n  window: 1s\n  window: 2s\n",
        ["3:3: batch.window: stands twice in the file, first on line 2"],
    ),
    "a section twice": (
        "batch: {window: 1s}\nbatch: {window: 2s}\n",
        ["2:1: batch: stands twice in the file, first on line 1"],
    ),
    "a duration without its unit": (
        "batch: {window: 20}\n",
        ["1:17: batch.window: expected a duration such as 20ms, 5s, 10m or 1h, got 20"],
    ),
    "a number out of range": (
        "batch: {max_participants: 6}\n",
        ["1:27: batch.max_participants: 6 is out of range: expected 1 to 5"],
    ),
    "a number in quotes": (
        "batch: {max_participants: '5'}\n",
        ["1:27: batch.max_participants: expected a whole number without quotes"],
    ),
    "a rate that is none": (
        "rate: {call: fast}\n",
        ["1:14: rate.call: expected a decimal number of requests per second, got fast"],
    ),
    "a truth value of another kind": (
        "commands: {require_key: yes}\n",
        ["1:25: commands.require_key: expected true or false, got yes"],
    ),
    "a word that is not in the list": (
        "log: {level: loud}\n",
        ["1:14: log.level: expected one of error,warn,info,debug, got loud"],
    ),
    "a list where a value belongs": (
        "batch: {window: [1s]}\n",
        ["1:17: batch.window: expected a duration such as 20ms, 5s, 10m or 1h, got a list"],
    ),
    "a value where a list belongs": (
        "commands: {copy_headers: a}\n",
        ["1:26: commands.copy_headers: expected a list such as [one, two], got a single value"],
    ),
    "an item that is not a name": (
        "commands: {copy_headers: [ok, 'a b', [c]]}\n",
        [
            f'1:31: commands.copy_headers: expected {NAME}, got "a b"',
            "1:38: commands.copy_headers: expected a name, got a list",
        ],
    ),
    "an option without a value": (
        "batch:\n  window:\n",
        [
            "2:10: batch.window: expected a duration such as 20ms, 5s, 10m or 1h, got nothing",
        ],
    ),
    "a value where a section belongs": (
        "batch: 5\n",
        ["1:8: batch: expected a map of options, got a single value"],
    ),
    "a list as a key": (
        "? [a]\n: 1\n",
        ["1:3: expected the name of an option before ':'"],
    ),
    "a topic with a slash": (
        "topics: {replies: a/b}\n",
        [f"1:19: topics.replies: expected {NAME}, got a/b"],
    ),
    "a URL with a query": (
        "graph: {url: 'https://a/?b'}\n",
        ["1:14: graph.url: expected a URL without '?' and '#'"],
    ),
    "a host name to listen on": (
        "admin: {address: localhost}\n",
        ["1:18: admin.address: expected an IPv4 or IPv6 address, got localhost"],
    ),
    "a file that is not there": (
        "graph: {ca_file: /nowhere/ca.pem}\n",
        ["1:18: graph.ca_file: /nowhere/ca.pem cannot be read: No such file or directory"],
    ),
    "replies into the command topic": (
        "topics: {replies: x, commands: x}\n",
        ["1:19: topics.replies: is the same topic as topics.commands"],
    ),
    "dead letters into the command topic": (
        "topics: {dead_letters: invite-commands}\n",
        ["1:24: topics.dead_letters: is the same topic as topics.commands"],
    ),
    "outcomes into the command topic": (
        "topics: {outcomes: invite-commands}\n",
        ["1:20: topics.outcomes: is the same topic as topics.commands"],
    ),
    "outcomes into the notifications": (
        "topics: {notifications: invite-outcomes}\n",
        ["1:25: topics.notifications: is the same topic as topics.outcomes"],
    ),
    "outcomes among the dead letters": (
        "topics: {outcomes: invite-dead-letters}\n",
        ["1:20: topics.outcomes: is the same topic as topics.dead_letters"],
    ),
    "commands as notifications": (
        "topics: {notifications: invite-commands}\n",
        ["1:25: topics.notifications: is the same topic as topics.commands"],
    ),
    "the notifications among the reply topics": (
        "topics: {notifications: n}\ncommands: {reply_topics: [n]}\n",
        ["2:26: commands.reply_topics: contains the topic of topics.notifications"],
    ),
    "the command topic among the reply topics": (
        "commands: {reply_topics: [invite-commands]}\n",
        ["1:26: commands.reply_topics: contains the topic of topics.commands"],
    ),
    "dead letters into the reply topic": (
        "topics: {dead_letters: invite-replies}\n",
        ["1:24: topics.dead_letters: is the same topic as topics.replies"],
    ),
    "the dead letters among the reply topics": (
        "topics: {dead_letters: d}\ncommands: {reply_topics: [d]}\n",
        ["2:26: commands.reply_topics: contains the topic of topics.dead_letters"],
    ),
    "a cap below its base": (
        "retry: {cap: 100ms}\n",
        ["1:14: retry.cap: is shorter than retry.base"],
    ),
    "a lease as long as the session": (
        "exactly_once: {lease: 10s}\n",
        [
            "1:23: exactly_once.lease: is not less than consumer.session_timeout: the worker "
            "could still send when another has taken over"
        ],
    ),
    "a commit that may come after the lease": (
        "exactly_once: {lease: 3s}\n",
        [
            " exactly_once.commit_deadline: is not less than exactly_once.lease: a commit could "
            "come too late to send"
        ],
    ),
    "a delivery that there is not": (
        "delivery: sometimes\n",
        ["1:11: delivery: expected one of exactly-once,at-least-once, got sometimes"],
    ),
    "a delivery that is a section": (
        "delivery: {value: exactly-once}\n",
        ["1:11: delivery: expected a word, got a map"],
    ),
    "a delivery without a value": (
        "delivery:\n",
        ["1:10: delivery: expected a word, got nothing"],
    ),
    "a delivery that is mistyped": (
        "delivry: exactly-once\n",
        ["1:1: delivry: there is no such section; did you mean delivery?"],
    ),
    "too short a gap between transactions": (
        "exactly_once: {gap: 2ms}\n",
        ["1:21: exactly_once.gap: 2ms is out of range: expected 3ms to 20ms"],
    ),
    "another way with bad maps": (
        "exactly_once: {on_bad_map: ignore}\n",
        [
            "1:28: exactly_once.on_bad_map: expected one of stop,report,trust-offset, got ignore"
        ],
    ),
    "fewer offsets than commands": (
        "queue: {offsets_per_partition: 10}\n",
        ["1:32: queue.offsets_per_partition: is less than queue.commands_per_partition"],
    ),
    "an anchor": (
        "batch: &b {window: 1s}\n",
        ["1:8: anchors and aliases are not supported: write the value itself"],
    ),
    "a tag": (
        "batch: {window: !!str 1s}\n",
        ["1:17: tags are not supported: write the value alone"],
    ),
    "a NUL in a text": (
        'topics: {replies: "a\\0b"}\n',
        ["1:19: a text must not contain the character NUL"],
    ),
    "a second document": (
        "batch: {window: 1s}\n---\n",
        ["2:1: a second document: only one is read"],
    ),
    "too deep a nest": (
        "batch: " + "[" * 20 + "]" * 20 + "\n",
        ["1:23: more than 16 values inside each other"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_names_the_place_of(file, case):
    text, expected = CASES[case]
    result = file.complete(text)
    assert file.problems(result) == expected
    assert result.returncode == MISTAKES
    assert result.stdout.startswith(f"{file.path}: {len(expected)} mistake")


def test_reports_all_mistakes_in_the_order_of_their_lines(file):
    result = file.check("log: {level: x}\nbatch: {window: 1, max_participants: 9}\nxyzzy: 1\n")
    places = [line.split(" ")[0] for line in file.problems(result)]
    assert places == ["1:14:", "2:17:", "2:38:", "3:1:", "", "", "", ""]
    assert result.stdout == f"{file.path}: 8 mistakes\n"


def test_names_what_is_missing(file):
    result = file.check("")
    assert file.problems(result) == [
        " kafka.bootstrap.servers: is required: expected HOST:PORT of one or more brokers",
        " login: a credential is required: client_secret, certificate or federated_token (in the "
        "file with _file behind it, or in the environment as INVITE_WORKER_LOGIN_CLIENT_SECRET "
        "and so on), or credential: managed-identity",
        " login.tenant_id: is required: in the file, or as INVITE_WORKER_LOGIN_TENANT_ID in the "
        "environment",
        " login.client_id: is required: in the file, or as INVITE_WORKER_LOGIN_CLIENT_ID in the "
        "environment",
    ]
    assert result.returncode == MISTAKES


def test_says_when_all_is_well(file):
    result = file.complete("batch:\ncommands: {max_age: 0}\n")
    assert (result.returncode, result.stdout) == (0, f"{file.path}: ok\n")
    assert result.stderr == ""


NO_SLOT = {"INVITE_WORKER_CONSUMER_INSTANCE_ID": ""}


def test_says_how_to_name_the_slot_of_a_worker_that_has_none(file):
    result = file.complete("", NO_SLOT)
    (line,) = result.stderr.splitlines()
    assert "consumer.instance_id: is required for delivery: exactly-once" in line
    for way in ("StatefulSet", "systemd", "at-least-once"):
        assert way in line
    assert result.returncode == MISTAKES


def test_needs_no_slot_for_at_least_once(file):
    result = file.complete("delivery: at-least-once\n", NO_SLOT)
    assert (result.returncode, result.stderr) == (0, "")


def test_leaves_what_exactly_once_alone_needs_unchecked_otherwise(file):
    text = "delivery: at-least-once\nexactly_once: {lease: 9m}\nretry: {settle: 0}\n"
    assert file.complete(text).stderr == ""


def test_warns_of_a_settle_time_in_which_the_worker_of_before_may_send(file):
    result = file.complete("retry: {settle: 16s}\n")
    (line,) = file.problems(result)
    assert line.startswith(
        "1:17: warning: retry.settle: is shorter than exactly_once.lease + graph.timeout"
    )
    assert result.returncode == 0


def test_a_settle_time_of_lease_and_timeout_is_enough(file):
    assert file.complete("retry: {settle: 17s}\n").stderr == ""


def test_warns_of_a_rate_over_that_of_graph(file):
    result = file.complete("rate: {application: 3001}\n")
    assert file.problems(result) == [
        "1:21: warning: rate.application: rate.application_burst + 15 x rate.application is over "
        "50000, the number of requests that Graph allows an application in 15 s"
    ]
    assert (result.returncode, result.stdout) == (0, f"{file.path}: ok, 1 warning\n")


@pytest.mark.parametrize(
    "tenants, message",
    [
        ("Contoso.Example", "contains login.tenant_id, which is a tenant anyway"),
        ("a.example,b.example,A.example", "contains the same tenant twice, in other case"),
        ("a.example,a_b", "contains a name that is neither an id nor a domain"),
    ],
)
def test_each_tenant_is_named_once_and_can_be_one(file, tenants, message):
    result = file.complete("", {"INVITE_WORKER_LOGIN_OTHER_TENANTS": tenants})
    (line,) = result.stderr.splitlines()
    assert line.endswith(f"login.other_tenants: {message}")
    assert result.returncode == MISTAKES


@pytest.mark.parametrize("section", ["graph", "login"])
def test_warns_of_http_to_another_machine(file, section):
    options = {"login": "", "graph": ""}
    options[section] = "url: 'http://other.example'"
    login = (LOGIN % file.secret).replace("}", f", {options['login']}}}")
    result = file.check(login + KAFKA + f"graph: {{{options['graph']}}}\n")
    (line,) = file.problems(result)
    assert f"warning: {section}.url: http:// to another machine: secret and token" in line
    assert result.returncode == 0


def test_does_not_warn_of_http_to_loopback(file):
    assert file.complete("graph: {url: 'http://127.0.0.1:1'}\n").stderr == ""


def test_refuses_a_property_that_the_worker_sets_itself(file):
    result = file.check(LOGIN % file.secret + "kafka:\n  bootstrap.servers: a:1\n  acks: 1\n")
    (line,) = file.problems(result)
    assert line.startswith("4:9: kafka.acks: cannot be set: ")


def test_refuses_a_poll_interval_that_is_shorter_than_the_session(file):
    text = LOGIN % file.secret + "kafka:\n  bootstrap.servers: a:1\n  max.poll.interval.ms: 9999\n"
    (line,) = file.problems(file.check(text))
    assert line == (
        "4:25: kafka.max.poll.interval.ms: is shorter than consumer.session_timeout, 10000 ms"
    )


@pytest.mark.parametrize("name, value", [("no.such.thing", "1"), ("socket.timeout.ms", "soon")])
def test_asks_librdkafka_about_each_property(file, name, value):
    text = LOGIN % file.secret + f"kafka:\n  bootstrap.servers: a:1\n  {name}: {value}\n"
    result = file.check(text)
    (line,) = file.problems(result)
    assert line.startswith(f"4:{5 + len(name)}: kafka.{name}: ")
    assert "librdkafka" in line
    assert result.returncode == MISTAKES


def test_ends_at_what_is_not_yaml(file):
    result = file.check("batch:\n  window: 1s\n bad\n")
    (line,) = file.problems(result)
    assert line.startswith("3:2: not YAML: ") or line.startswith("4:1: not YAML: ")
    assert result.returncode == MISTAKES


def test_names_the_byte_that_is_not_utf_8(file):
    result = file.check(b"# \xc3\xa4\nbatch: {window: \xff}\n")
    (line,) = file.problems(result)
    assert line.startswith("2:17: not a text in UTF-8: ")


def test_refuses_an_alias_before_it_can_grow(file):
    result = file.check("batch: *a\n")
    assert file.problems(result) == [
        "1:8: anchors and aliases are not supported: write the value itself"
    ]


def test_refuses_a_file_that_is_too_large(file):
    result = file.check(b"#" * (1024 * 1024) + b"\n")
    assert file.problems(result) == [" is larger than 1 MiB"]


def test_refuses_too_many_values(file):
    result = file.check("kafka: [" + "a," * 20000 + "]\n")
    (line,) = file.problems(result)
    assert line.endswith("more than 10000 values in the file")


def test_names_a_file_that_is_not_there(file):
    result = run("check", "-c", file.path)
    assert file.problems(result) == [" cannot be opened: No such file or directory"]
    assert result.returncode == MISTAKES


def test_prints_control_characters_of_a_key_escaped(file):
    result = file.complete('"a\\e[31mb": 1\n')
    assert "\x1b" not in result.stderr
    assert result.returncode == MISTAKES
