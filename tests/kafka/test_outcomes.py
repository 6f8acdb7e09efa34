"""Each row of the table of outcomes, by HTTP/1.1 and by HTTP/2 with TLS: what the worker did and
what the reply said. outcomes.md is what these tests saw; with UPDATE_OUTCOMES=1 they write it."""

import os
import pathlib
import re
import subprocess

import pytest

import outcome_cases
from outcome_cases import ALL, APART, BEHIND_ROW, IN_TURN, NO_TOKEN, NOT_SENT, ROW
from process import wait_until
from relay import Relay
from witness import MICROSECONDS, by_call, by_id, command, sent_users, users
from worker import binaries

PAGE = pathlib.Path(__file__).with_name("outcomes.md")
HEAD = (
    "| what came back | in this case | requests | effects | wait | looks | reply | error |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def rows():
    """The first column of the worker's own table."""
    told = subprocess.check_output([binaries() / "invite-worker", "help", "answers"], text=True)
    return [line.split(" | ")[0].removeprefix("| ") for line in told.splitlines()[2:]]


class Observer:
    """One worker whose every connection goes through a relay, and what became of each case."""

    def __init__(self, pipeline, url, port, **graph):
        self.pipeline = pipeline
        self.relay = Relay(port)
        self.replies = {}
        url = f"{url}:{self.relay.port}"
        config = outcome_cases.CONFIGURATION
        self.worker = pipeline.worker(
            **{
                **config,
                "graph": {**config["graph"], "url": f"{url}/v1.0", **graph},
                "login": {"url": url},
            }
        )

    def send(self, cases, name="it"):
        for case in cases:
            who = case.users if name == "it" else ("earlier",)
            record = command(case.call, *who, commandId=f"{name}: {case.call}")
            self.pipeline.commands.send(record)
        self.pipeline.commands.flush()

    def wait(self, cases, name="it"):
        wanted = {f"{name}: {case.call}" for case in cases}

        def answered():
            self.pipeline.replies.poll(0.05)
            self.replies = by_id(self.pipeline.replies.json())
            return wanted <= set(self.replies)

        wait_until(answered, 60, lambda: f"no reply: {sorted(wanted - set(self.replies))}")

    def reply(self, case):
        return self.replies[f"it: {case.call}"]

    def wait_for_class(self, name):
        """A request of this class was counted."""
        metric = f'invite_worker_requests_total{{class="{name}"}}'
        wait_until(lambda: self.worker.metrics()[metric] > 0, 30, metric)

    def treat(self, cases):
        """Let the simulator treat these cases as they ask for."""
        self.pipeline.graph.set_rules(
            *({"call": case.call, **case.rule} for case in cases if case.rule)
        )

    def run_without_token(self):
        self.pipeline.graph.set_rules({"on": "token", "status": 503})
        self.send([NO_TOKEN])
        self.worker.start(ready=False)
        self.wait_for_class("unauthorized")
        self.pipeline.graph.set_rules()
        self.wait([NO_TOKEN])

    def run_row(self):
        """Three calls are throttled together, and then comes a fourth."""
        graph = self.pipeline.graph
        self.treat(ROW)
        self.send(ROW)
        calls = {case.call for case in ROW}
        wait_until(lambda: calls <= set(by_call(graph.invites())), 30, "all are throttled")
        self.send([BEHIND_ROW])
        self.wait([*ROW, BEHIND_ROW])

    def run_apart(self):
        known = [case for case in APART if case.after_another]
        self.treat(APART)
        self.send(known, "before")
        self.wait(known, "before")
        self.send(APART)
        self.wait(APART)

    def run_in_turn(self):
        self.treat(IN_TURN)
        for case in IN_TURN:
            self.send([case])
            self.wait([case])

    def run_unreachable(self):
        self.relay.close()
        self.send([NOT_SENT])
        self.wait_for_class("not-sent")
        self.relay = Relay(self.relay.target_port, self.relay.port)
        self.wait([NOT_SENT])

    def close(self):
        self.relay.close()


def outcome_of(line):
    """How the request ended, as the simulator's journal tells."""
    what = line["status"] if line["end"] == "sent" else line["end"]
    size = len(users(line))
    return f"{what} for {size}" if size > 1 else f"{what}"


def heard_at(line):
    return line["at_us"] if line["end"] == "lost" else line["ended_us"]


def describe_wait(case, steps, reply):
    """The case's words, if it took as long as they mean from each of its steps to the next."""
    gaps = [(b["at_us"] - heard_at(a)) / MICROSECONDS for a, b in zip(steps, steps[1:])]
    if not gaps:  # What it waited for was not seen by Graph
        waited = reply["timing"]["waitedFor"]
        gaps = [(waited["hold"] + waited["application"]) / 1000]
    short = [f"{gap:.3f} s" for gap, least in zip(gaps, case.gaps) if gap < least - 0.001]
    return f"{case.wait}: only {short}" if short else case.wait


def describe_error(error):
    if error is None:
        return ""
    parts = [f"`{error['code']}`", error["graphCode"], error["httpStatus"]]
    return ", ".join(str(part) for part in parts if part is not None)


def describe(case, reply, calls):
    lines = calls[case.call]
    posts = [line for line in lines if line["route"] == "invite"][case.after_another :]
    looks = [line for line in lines if line["route"] != "invite"]
    steps = [*posts, *looks[:1]]
    if case is BEHIND_ROW:
        steps.insert(0, calls[ROW[-1].call][0])
    status = f"`{reply['status']}`"
    if reply["evidence"]:
        status += f" by its {reply['evidence']}"
    cells = [
        case.row,
        case.how,
        ", ".join(map(outcome_of, posts)),
        sum(line["effect"] for line in posts),
        describe_wait(case, steps, reply),
        ", ".join(line["route"] for line in looks),
        status,
        describe_error(reply["error"]),
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def table(observer):
    order = rows()
    journal = sorted(observer.pipeline.graph.journal(), key=lambda line: line["seq"])
    calls = by_call(line for line in journal if line.get("call"))
    cases = sorted(ALL, key=lambda case: order.index(case.row))
    return HEAD + "".join(describe(case, observer.reply(case), calls) for case in cases)


def compare(title, seen):
    """The part of the page under this title is what was seen."""
    page = PAGE.read_text(encoding="utf-8")
    part = re.compile(rf"(## {re.escape(title)}\n\n)(.*?)(?=\n## |\Z)", re.S)
    if os.environ.get("UPDATE_OUTCOMES"):
        PAGE.write_text(part.sub(lambda match: match[1] + seen, page), encoding="utf-8")
        return
    (match,) = part.finditer(page)
    wanted = match[2].splitlines()
    for number, (was, now) in enumerate(zip(wanted, seen.splitlines(), strict=True)):
        assert now == was, f"line {number} of '{title}' in {PAGE.name}; to update: {__doc__}"


@pytest.fixture(params=["HTTP/1.1", "HTTP/2 with TLS"])
def observer(request, pipeline):
    if request.param == "HTTP/1.1":
        made = Observer(pipeline, "http://localhost", pipeline.graph.http_port)
    else:
        front = request.getfixturevalue("front")
        made = Observer(pipeline, "https://localhost", front.port, ca_file=front.ca)
    made.title = request.param
    yield made
    made.close()


def assert_nothing_twice(observer):
    """Whatever was answered: no participant of a case was invited more than once."""
    for call, effects in by_call(observer.pipeline.graph.effects()).items():
        sent = sent_users(effects)
        assert len(sent) == len(set(sent)), (call, sent)


def test_every_row_has_a_case():
    assert {case.row for case in ALL} == set(rows())


def test_the_cases_end_as_the_page_says(observer, request):
    observer.run_without_token()
    observer.run_row()
    observer.run_apart()
    observer.run_in_turn()
    observer.run_unreachable()
    observer.pipeline.graph.wait_idle()
    assert observer.worker.stop() == 0
    assert_nothing_twice(observer)
    if observer.title != "HTTP/1.1":
        requests = request.getfixturevalue("front").requests()
        assert {version for _, _, version, _ in requests} == {"HTTP/2"}
    compare(observer.title, table(observer))
