"""How Graph may answer: at least one case for each row of the table of outcomes.

A case is a command to a call of its own, and the rule by which the simulator treats it. `wait` says
in words what the worker waits for between its requests, `gaps` the least seconds that this takes,
one for each request after the first (and for the look that follows, when there is one).
Everything is counted from the answer, or, when nobody was there any more to hear it, from the
request.
"""

import dataclasses
import json

BASE, SETTLE, TIMEOUT, GRACE = 0.2, 1.0, 2.0, 4.0
BACKOFF = BASE * 3 / 4  # The least that jitter leaves
# A worker knows what a call has taken for as long as its bucket is not full: here for ten seconds,
# and no case sends as much as a burst.
CONFIGURATION = {
    "graph": {"timeout": "2s", "connect_timeout": "1s"},
    "rate": {"call": 0.1, "call_burst": 20},
    "retry": {"base": "200ms", "cap": "2s", "settle": "1s", "call_grace": "4s"},
}
FOUND = "`retry.settle`"


@dataclasses.dataclass(frozen=True)
class Case:
    row: str  # As in `invite-worker help answers`
    how: str  # What was answered, for people
    rule: dict = None
    wait: str = "none"
    gaps: tuple = ()
    users: tuple = ("ann",)
    after_another: bool = False  # Graph has accepted a request of this call before

    @property
    def call(self):
        return "".join(c if c.isalnum() else "-" for c in f"{self.row}--{self.how}")


def wrapped(code):
    inner = json.dumps({"errorCode": code, "message": "No.", "instanceAnnotations": []})
    return {"body": json.dumps({"error": {"code": "UnknownError", "message": inner}})}


def nested(code, name):
    return {"body": json.dumps({"error": {"code": "Forbidden", name: {"code": code}}})}


def once(status, **more):
    return {"status": status, "count": 1, **more}


def bad(status, **more):
    return {"status": status, "identity": "bad", **more}


BATCH = ("ann", "bad", "carl")
NO_OPERATION = {"body": "null", "location": False}

# Each of these concerns its own call alone: all of them can happen at the same time.
APART = [
    Case("no whole answer", "reset after the effect", {"reset": "after"}, FOUND, (SETTLE,)),
    Case("no whole answer", "reset before the effect", {"reset": "before"}, FOUND, (SETTLE,)),
    Case("no whole answer", "cut short", {"cut_at": 40}, FOUND, (SETTLE,)),
    Case("no whole answer", "too late", {"delay_ms": 3500}, FOUND, (SETTLE + TIMEOUT / 2,)),
    Case("no whole answer", "too large", {"huge_bytes": 3_000_000}, FOUND, (SETTLE,)),
    Case("200 to 299", "as documented"),
    Case("200 to 299", "202", {"status": 202, "effect": True}),
    Case("200 to 299", "no Location", {"location": False}),
    Case("200 to 299", "an empty body", {"body": ""}),
    Case("200 to 299", "null", {"body": "null"}),
    Case("200 to 299", "no operation named", NO_OPERATION, FOUND, (SETTLE,)),
    Case("429", "Retry-After: 1", once(429, retry_after="1"), "Retry-After", (1.0,)),
    Case("429", "Retry-After: 1.4", once(429, retry_after="1.4"), "Retry-After", (1.4,)),
    Case("429", "a date 2 s away", once(429, retry_after_date_s=2), "Retry-After", (1.0,)),
    Case("429", "no header", once(429), "backoff", (BACKOFF,)),
    Case("429", "a header without sense", once(429, retry_after="soon"), "backoff", (BACKOFF,)),
    Case("503 with Retry-After", "Retry-After: 1", once(503, retry_after="1"), "Retry-After",
         (1.0,)),
    Case("403 / 7505", "one participant", bad(403, code="7505"), users=("bad",)),
    Case("403 / 7505", "one of three", bad(403, code="7505"), users=BATCH),
    Case("403 / 7505", "in an innererror", bad(403, **nested("7505", "innererror")), users=BATCH),
    Case("403", "Forbidden, one of three", bad(403, code="Forbidden"), users=BATCH),
    Case("400", "one participant", bad(400), users=("bad",)),
    Case("400", "one of three", bad(400), users=BATCH),
    Case("400", "all three at once", {"status": 400, "participants_above": 1}, users=BATCH),
    Case("404 / 8522", "the call was there", {"status": 404, "skip": 1}, after_another=True),
    Case("404 / 8522", "the call is only just beginning", once(404),
         "a quarter of `retry.call_grace`", (GRACE / 4,)),
    Case("404", "the call was there", {"status": 404, "skip": 1, "body": ""}, after_another=True),
    Case("410", "the call was there", {"status": 410, "skip": 1, "code": "Gone"},
         after_another=True),
    Case("408", "with the effect", {"status": 408, "effect": True}, FOUND, (SETTLE,)),
    Case("408", "without", {"status": 408}, FOUND, (SETTLE,)),
    Case("413", "all three at once", {"status": 413, "participants_above": 1}, users=BATCH),
    Case("400 to 499", "409", {"status": 409}),
    Case("400 to 499", "423 for three", {"status": 423, "code": "Locked"}, users=BATCH),
    Case("500 to 599", "500 with the effect", {"status": 500, "effect": True}, FOUND, (SETTLE,)),
    Case("500 to 599", "500 without", {"status": 500}, FOUND, (SETTLE,)),
    Case("500 to 599", "502 with the effect", {"status": 502, "effect": True}, FOUND, (SETTLE,)),
    Case("500 to 599", "503 without Retry-After", {"status": 503}, FOUND, (SETTLE,)),
    Case("500 to 599", "504 with the effect", {"status": 504, "effect": True}, FOUND, (SETTLE,)),
    Case("any other status", "600 with the effect", {"status": 600, "effect": True}, FOUND,
         (SETTLE,)),
]

# These hold the whole application: one after the other.
IN_TURN = [
    Case("401", "once", once(401), "none"),
    Case("401", "twice", {"status": 401, "count": 2}, "none, then backoff", (0, BACKOFF)),
    Case("403 / 7503", "once", once(403, code="7503"), "backoff", (BACKOFF,)),
    Case("403 / 7503", "in the message of an UnknownError", once(403, **wrapped("7503")),
         "backoff", (BACKOFF,)),
    Case("403 / 7504", "once", once(403, code="7504"), "backoff", (BACKOFF,)),
    Case("403 / 7504", "in an innerError", once(403, **nested("7504", "innerError")), "backoff",
         (BACKOFF,)),
    Case("300 to 399", "307", once(307), "backoff", (BACKOFF,)),
]

# Graph never sees these requests.
NO_TOKEN = Case("no access token", "503 of the login service", wait="until there is a token")
NOT_SENT = Case("failed before the body was asked for", "connection refused", wait="backoff",
                gaps=(BACKOFF,))

# Calls that are throttled together, and one that is not.
ROW = [Case("429", f"the {nth} call in a row", once(429, retry_after="1"), "Retry-After", (1.0,))
       for nth in ("first", "second", "third")]
BEHIND_ROW = Case("429", "another call behind that row", wait="Retry-After of the row", gaps=(1.0,))

ALL = [NO_TOKEN, NOT_SENT, *ROW, BEHIND_ROW, *APART, *IN_TURN]
