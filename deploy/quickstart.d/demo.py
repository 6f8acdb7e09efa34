"""The quickstart behind ./deploy/quickstart, once everything is built."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
# pylint: disable=wrong-import-position
from kafka_client import Commands, Reader, create_missing_topics
from process import NotReady, Process
from worker import SECRET, Worker, binaries, configuration

TOPICS = {
    "commands": "invite-quickstart-commands",
    "replies": "invite-quickstart-replies",
    "dead_letters": "invite-quickstart-dead-letters",
}
GROUP = "invite-quickstart"
PARTITIONS = 3
CASES = {
    "1-one-participant": "one participant joins a group call",
    "2-two-participants": "two participants in one request",
    "3-replace": "a participant who replaces a peer-to-peer call",
    "4-phone": "a phone",
    "5-move": "a participant who moves from another meeting",
}
WAITS = {
    "batch": "company",
    "callRate": "the call's rate",
    "application": "the application's rate",
    "breaker": "Graph to be well again",
    "hold": "Graph's throttling to end",
    "call": "the request before",
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COLOURS = {"head": "1", "good": "32", "bad": "31", "dim": "2"}


class Narrator:
    """Tells people on standard error what happens; colours only where they can be seen."""

    def __init__(self):
        self.coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")

    def say(self, text, colour=None):
        if self.coloured and colour:
            text = f"\033[{COLOURS[colour]}m{text}\033[0m"
        print(text, file=sys.stderr, flush=True)

    def row(self, what, text, colour=None):
        self.say(f"    {what:<9}{text}", colour)


class Parser(argparse.ArgumentParser):
    """One whose mistakes end with the usual code of a wrong use."""

    def error(self, message):
        self.exit(os.EX_USAGE, f"quickstart: {message} (see --help)\n")


def arguments():
    parser = Parser(prog="quickstart", add_help=False, allow_abbrev=False)
    parser.add_argument("--kafka", metavar="HOST:PORT")
    parser.add_argument("--graph", metavar="URL")
    parser.add_argument("--login", metavar="URL")
    parser.add_argument("--tenant", default=os.environ.get("INVITE_WORKER_LOGIN_TENANT_ID"))
    parser.add_argument("--client-id", default=os.environ.get("INVITE_WORKER_LOGIN_CLIENT_ID"))
    parser.add_argument("--call", metavar="ID")
    parser.add_argument("--cases", metavar="DIR", default=pathlib.Path(__file__).parent)
    parser.add_argument("--timeout", type=float, default=30)
    given = parser.parse_args()
    if given.login and not given.graph:
        parser.error("--login needs --graph")
    if given.graph and not (given.tenant and given.client_id and os.environ.get(SECRET)):
        parser.error(f"--graph needs --tenant, --client-id and the variable {SECRET}")
    return given


def read_commands(given):
    """The commands by the name of their file. None is sent again by a later run: they expire."""
    run = uuid.uuid4().hex[:8]
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=given.timeout)
    commands = {}
    for path in sorted(pathlib.Path(given.cases).glob("*.json")):
        command = json.loads(path.read_text(encoding="utf-8"))
        command["commandId"] = f"quickstart-{run}-{path.stem}"
        command["expiresAt"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        if given.call:
            command["callId"] = given.call
        commands[path.stem] = command
    if not commands:
        raise NotReady(f"no commands in {given.cases}")
    return commands


def start_broker(given, home, stack, narrator):
    """The broker's address; topics exist when it returns."""
    if given.kafka:
        narrator.say(f"broker: {given.kafka}")
        create_missing_topics(given.kafka, {name: PARTITIONS for name in TOPICS.values()})
        return given.kafka
    argv = [binaries() / "embedded-broker", *(f"{name}:{PARTITIONS}" for name in TOPICS.values())]
    log = home / "broker.log"
    broker = Process("embedded-broker", argv, log, read_stdout=True, keep_stdin=True)
    stack.callback(broker.stop)
    address = broker.line(10)
    narrator.say(
        f"broker: embedded, {address}. It keeps no transactional offsets, so the worker runs\n"
        "        at-least-once: a crash could repeat what was in flight."
    )
    return address


def start_graph(given, home, stack, narrator):
    """The sections of the configuration that name the service."""
    if given.graph:
        narrator.say(f"graph:  {given.graph}")
        return {
            "graph": {"url": given.graph},
            "login": {"url": given.login, "tenant_id": given.tenant, "client_id": given.client_id},
        }
    argv = [binaries() / "graph-simulator", "--http", "0"]
    simulator = Process("graph-simulator", argv, home / "graph.log", read_stdout=True)
    stack.callback(simulator.stop)
    url = f"http://127.0.0.1:{json.loads(simulator.line(10))['http']}"
    narrator.say(f"graph:  simulated, {url}/v1.0")
    return {"graph": {"url": f"{url}/v1.0"}, "login": {"url": url}}


def start_worker(given, broker, service, home, stack, narrator):
    ours = {"topics": TOPICS, "consumer": {"group": GROUP}, "drain": {"timeout": "5s"}}
    if not given.kafka:
        ours["delivery"] = "at-least-once"  # The embedded broker has no real transactions
    config = configuration(broker, None, None, {**ours, **service})
    worker = Worker(home / "worker", config, secret=os.environ.get(SECRET, "simulated"))
    stack.callback(worker.stop, 10)
    worker.start()
    narrator.say(f"worker: ready (pid {worker.process.pid}, configuration in {home}/worker)")
    return worker


def wait_for_replies(reader, commands, worker, seconds):
    """One reply of each command, by its commandId; fewer when time is over or the worker ends."""
    wanted = {command["commandId"] for command in commands.values()}
    replies = {}
    deadline = time.monotonic() + seconds
    while len(replies) < len(wanted) and time.monotonic() < deadline and worker.process.running():
        for message in reader.poll():
            reply = json.loads(message.value())
            if reply.get("commandId") in wanted:
                replies[reply["commandId"]] = reply
    return replies


def is_accepted(reply):
    operations = reply.get("operations") or []
    return (
        reply.get("status") == "accepted"
        and bool(operations)
        and all(operation.get("id") and operation.get("location") for operation in operations)
    )


def plural(count, noun):
    return f"{count} {noun}" + ("" if count == 1 else "s")


def sharing(reply):
    """How its requests were filled, and what they waited for."""
    batch = reply.get("batch") or {}
    waits = (reply.get("timing") or {}).get("waitedFor") or {}
    company = batch.get("commands", 1)
    text = plural(len(reply.get("operations") or []), "request")
    text += f", shared by {company} commands" if company > 1 else ""
    text += f", {plural(batch.get('participants', 0), 'participant')}"
    return text + "".join(f", waited {ms} ms for {WAITS.get(what, what)}"
                          for what, ms in waits.items() if ms)


def narrate(narrator, name, command, reply):
    """The way of one command: what was sent, what Graph said, what came back."""
    narrator.say(f"\n{name}: {CASES.get(name, 'a command')}", "head")
    participants = plural(len(command["participants"]), "participant")
    narrator.row("command", f"{participants} for call {command['callId']}")
    if reply is None:
        narrator.row("reply", "none came", "bad")
        return
    source = reply.get("source") or {}
    where = f"{source.get('topic')}[{source.get('partition')}] offset {source.get('offset')}"
    narrator.row("record", where)
    narrator.row("request", sharing(reply))
    for operation in reply.get("operations") or []:
        narrator.row(
            "Graph",
            f"HTTP {operation.get('httpStatus')}, operation {operation.get('id')}, "
            f"{operation.get('status')}",
        )
        narrator.row("", f"{operation.get('location')}", "dim")
    error = reply.get("error")
    said = f"{reply.get('status')}" + (f": {error.get('message')}" if error else "")
    narrator.row("reply", said, "good" if is_accepted(reply) else "bad")


def run(given, home, narrator, stack):
    """The exit status."""
    commands = read_commands(given)
    broker = start_broker(given, home, stack, narrator)
    service = start_graph(given, home, stack, narrator)
    worker = start_worker(given, broker, service, home, stack, narrator)
    reader = Reader(broker, TOPICS["replies"], from_end=True)
    stack.callback(reader.close)
    producer = Commands(broker, TOPICS["commands"])
    for command in commands.values():
        producer.send(command)
    producer.flush()
    replies = wait_for_replies(reader, commands, worker, given.timeout)
    accepted = 0
    for name, command in commands.items():
        reply = replies.get(command["commandId"])
        narrate(narrator, name, command, reply)
        if reply is not None:
            print(json.dumps(reply), flush=True)
            accepted += is_accepted(reply)
    good = accepted == len(commands)
    narrator.say(f"\n{accepted} of {len(commands)} accepted", "good" if good else "bad")
    if not good:
        narrator.say(f"the worker's log:\n{worker.process.tail()}")
    return 0 if good else 1


def children():
    """The processes that we started and that are not reaped, from the kernel's own list."""
    found = []
    for task in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found += (task / "children").read_text().split()
    return [int(pid) for pid in found]


def end_at_once(number, home):
    """End everything from within a signal handler, in whatever state the rest of us is.

    An exception would be safer for nobody: Python drops it where it cannot be raised, for example
    while a process is being forked. The kernel ends a child that is too young to be found here.
    """
    for ignored in SIGNALS:
        signal.signal(ignored, signal.SIG_IGN)
    ended = children()
    for pid in ended:
        os.kill(pid, signal.SIGKILL)
    for pid in ended:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    shutil.rmtree(home, ignore_errors=True)
    os._exit(128 + number)


def main():
    given = arguments()
    narrator = Narrator()
    home = pathlib.Path(tempfile.gettempdir()) / f"quickstart-{uuid.uuid4().hex[:8]}"
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: end_at_once(number, home))
    home.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        try:
            return run(given, home, narrator, stack)
        except NotReady as error:
            narrator.say(f"quickstart: {error}", "bad")
            return os.EX_UNAVAILABLE


if __name__ == "__main__":
    sys.exit(main())
