"""contract-probe as a child: what the core makes of records and answers."""

import dataclasses
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "build" / "debug" / "bin"


def to_hex(data):
    if data is None:
        return None
    return (data if isinstance(data, bytes) else data.encode()).hex()


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


@dataclasses.dataclass(frozen=True)
class Written:
    """A record that the engine wrote."""

    kind: str
    topic: str
    key: bytes | None
    value: bytes
    headers: tuple

    def json(self):
        return json.loads(self.value)


@dataclasses.dataclass(frozen=True)
class Post:
    """A request to Graph."""

    call_id: bytes
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclasses.dataclass(frozen=True)
class Run:
    """All that an engine did with some records."""

    posts: list
    replies: list
    dead_letters: list
    trace: str
    stored: int


def record(key, value, headers=(), timestamp=0):
    """A record of the command topic; `timestamp` in milliseconds since 1970, 0: none."""
    pairs = [[to_hex(name), to_hex(content)] for name, content in headers]
    return {"key": to_hex(key), "value": to_hex(value), "headers": pairs, "timestamp": timestamp}


def command_record(command, **options):
    """A command as a record whose key is its callId."""
    return record(command["callId"], json.dumps(command), **options)


NOTHING = b'{"value":[]}'


class Probe:
    """Ask with parse(), run(), tell(), quote() and tables()."""

    def __init__(self):
        path = pathlib.Path(os.environ.get("WORKER_BIN", DEFAULT)) / "contract-probe"
        self.process = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(10) == 0

    def ask(self, op, **members):
        self.process.stdin.write(json.dumps({"op": op, **members}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"contract-probe ended with {self.process.wait(10)}"
        return json.loads(line)

    def parse(self, one):
        """(valid, reason, message)"""
        answer = self.ask("parse", record=one)
        return answer["valid"], answer["reason"], from_hex(answer["message"]).decode()

    def run(self, records, answers=(), repeat=False, operations=NOTHING, roster=NOTHING):
        """`answers` are given in turn, the last one for ever when `repeat`; then Graph accepts.
        `operations` and `roster`: what Graph answers when it is asked for them."""
        shown = [{**one, "body": to_hex(one.get("body", b""))} for one in answers]
        result = self.ask("run", records=list(records), answers=shown, repeat=repeat,
                          operations=to_hex(operations), roster=to_hex(roster))
        assert result["quiet"], "the engine does not come to rest"
        writes = [
            Written(one["kind"], one["topic"], from_hex(one["key"]), from_hex(one["value"]),
                    tuple((from_hex(n).decode(), from_hex(v)) for n, v in one["headers"]))
            for one in result["writes"]
        ]
        return Run(
            [Post(from_hex(one["callId"]), from_hex(one["body"])) for one in result["posts"]],
            [one for one in writes if one.kind == "reply"],
            [one for one in writes if one.kind == "dead letter"],
            from_hex(result["trace"]).decode(),
            result["stored"],
        )

    def tell(self, one):
        """The records of the outcomes topic that follow from one of the notifications topic, as
        pairs of key and value, and how much of it was junk."""
        answer = self.ask("tell", record=one)
        pairs = [(from_hex(o["key"]), from_hex(o["value"])) for o in answer["outcomes"]]
        return pairs, answer["junk"]

    def quote(self, text):
        return from_hex(self.ask("quote", text=to_hex(text))["text"])

    def tables(self):
        return self.ask("tables")
