"""Texts that were made to do harm, and commands that carry them wherever a producer can write.

Read from tests/contract/hostile.jsonl: a JSON string, {"hex": …} for bytes that are not UTF-8 or
not escaped, or {"repeat": …, "times": …}.
"""

import dataclasses
import json
import pathlib

CORPUS = pathlib.Path(__file__).resolve().parents[1] / "contract" / "hostile.jsonl"
MARK = "<hostile text>"
COPIED_HEADER = "correlation-id"


@dataclasses.dataclass(frozen=True)
class Record:
    """One command on its way to the topic. `text` is what it carries, at `place`."""

    place: str
    text: str | bytes
    key: bytes | None
    value: bytes
    headers: tuple = ()

    def __str__(self):
        return f"{self.place}: {self.text[:40]!r}"


def read(line):
    entry = json.loads(line)
    if isinstance(entry, str):
        return entry
    if "hex" in entry:
        return bytes.fromhex(entry["hex"])
    return entry["repeat"] * entry["times"]


def texts():
    """Every text of the corpus: str, or bytes to be written as they are."""
    return [read(line) for line in CORPUS.read_text(encoding="ascii").splitlines()]


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def written(text):
    """The text as it stands in a JSON document, in its quotes."""
    return b'"' + text + b'"' if isinstance(text, bytes) else json.dumps(text).encode()


def plain(call_id):
    return {"callId": call_id, "participants": [{"identity": {"user": {"id": "somebody"}}}]}


def participant(command):
    return command["participants"][0]


def put_top(name):
    return lambda command: command.update({name: MARK})


def put_user(name):
    return lambda command: participant(command)["identity"]["user"].update({name: MARK})


def put_participant(name, **others):
    return lambda command: participant(command).update({name: MARK, **others})


def put_phone(command):
    participant(command)["identity"] = {"phone": {"id": MARK}}


def put_kind(command):
    participant(command)["identity"] = {MARK: {"id": "somebody"}}


def put_wrong_kind(command):
    participant(command)["identity"][MARK] = {"id": 5}


PLACES = {
    "commandId": put_top("commandId"),
    "callId": put_top("callId"),
    "clientContext": put_top("clientContext"),
    "tenantId": put_top("tenantId"),
    "expiresAt": put_top("expiresAt"),
    "priority": put_top("priority"),
    "a member's name": lambda command: command.update({MARK: 1}),
    "a user's id": put_user("id"),
    "displayName": put_user("displayName"),
    "a user's unknown member": put_user("x"),
    "a phone's id": put_phone,
    "an identity's kind": put_kind,
    "the kind of a wrong identity": put_wrong_kind,
    "replacesCallId": put_participant("replacesCallId"),
    "participantId": put_participant("participantId", replacesCallId="another-call"),
    "@odata.type": put_participant("@odata.type"),
    "an unknown member": put_participant("unknown"),
    "an unknown member's name": lambda command: participant(command).update({MARK: "x"}),
}
HEADER_PLACES = ("the value of a copied header", "the value of reply-topic", "a header's name",
                 "the key")


def spliced(command, text):
    """The command's JSON, with the text for its mark."""
    return json.dumps(command).encode().replace(json.dumps(MARK).encode(), written(text))


def record_with(place, text, call_id):
    command = plain(call_id)
    PLACES[place](command)
    is_call = place == "callId"
    return Record(place, text, as_bytes(text) if is_call else call_id.encode(),
                  spliced(command, text))


def record_around(place, text, call_id):
    value = json.dumps(plain(call_id)).encode()
    key = call_id.encode()
    raw = as_bytes(text)
    if place == "the key":
        return Record(place, text, raw, value)
    name = {HEADER_PLACES[0]: COPIED_HEADER, HEADER_PLACES[1]: "reply-topic"}
    header = (name[place], raw) if place in name else (raw.decode(errors="replace"), b"x")
    return Record(place, text, key, value, (header,))


def records(call_id="a-call", places=(*PLACES, *HEADER_PLACES)):
    """A Record for every text in every place, `call_id` (or what it returns, given a number) being
    the call where the text is not."""
    number = 0
    for place in places:
        make = record_with if place in PLACES else record_around
        for text in texts():
            yield make(place, text, call_id(number) if callable(call_id) else call_id)
            number += 1
