"""Every outcome that can be written is one that the schema describes."""

import copy
import itertools
import json
import random

import pytest

import generate
from probe import record

SEED = 20261125
CALL = "57DAB8B1894C409AB240BD8BEAE78896"
OPERATION = "EEC3812AFDC34FB4825CA06C9F35414E"
TYPE = "#microsoft.graph.inviteParticipantsOperation"


def body(*operations, call=CALL):
    """As the bot's callback gets it."""
    return {"@odata.type": "#microsoft.graph.commsNotifications", "value": [
        {"@odata.type": "#microsoft.graph.commsNotification", "changeType": "deleted",
         "resourceUrl": f"/communications/calls/{call}/operations/{one.get('id') or OPERATION}",
         "resourceData": {"@odata.type": TYPE, **one}}
        for one in operations
    ]}


def told(probe, schema, document, key=None):
    """The outcomes, each as the schema says and with the key that it names."""
    pairs, junk = probe.tell(record(key, json.dumps(document)))
    outcomes = [json.loads(value) for _, value in pairs]
    for (written, _), outcome in zip(pairs, outcomes):
        schema.validate(outcome)
        assert written.decode() == outcome["callId"]
    return outcomes, junk


STATUSES = ("completed", "Failed")
OWN = (
    "iw:28ee4ca5:3:41,50:2", "iw:28ee4ca5:0:9223372036854775807+0*1+2*2:1",
    "iw:28ee4ca5:3:1+99*1,2+99*1,3+99*1,4+99*1,5:1",
)
OTHERS = (
    None, "iw:ffffffff:3:41:1", "iw:28ee4ca5:3:1,2,3,4,5,6:1", "a caller's \u0001 \u20ac",
    "x" * 256,
)
RESULTS = (
    None, {}, [], {"code": 412, "subcode": 9999, "message": "no"}, {"code": "412", "more": [1]},
    {"code": 2**62, "subcode": -1, "message": ""}, {"message": "\u0001" * 9000},
)


@pytest.mark.parametrize("context", OWN + OTHERS)
def test_every_ending_of_every_context_is_as_the_schema_says(probe, outcome_schema, context):
    for status, result in itertools.product(STATUSES, RESULTS):
        one = {"id": OPERATION, "status": status, "clientContext": context, "resultInfo": result}
        (outcome,), junk = told(probe, outcome_schema, body(one))
        assert (outcome["status"], junk) == (status.lower(), 0)
        assert outcome["clientContext"] == context
        assert (outcome["resultInfo"] is None) == (not isinstance(result, dict))
        assert (outcome["commands"] is not None) == (context in OWN)


def test_the_same_operation_has_the_same_id_however_it_is_written(probe, outcome_schema):
    one = {"id": OPERATION, "status": "completed", "clientContext": "x"}
    dashed = "57dab8b1-894c-409a-b240-bd8beae78896"
    lower = {**one, "id": "eec3812a-fdc3-4fb4-825c-a06c9f35414e"}
    outcomes = [
        told(probe, outcome_schema, document, key)[0][0]
        for document in (body(one), body(lower, call=dashed))
        for key in (None, CALL, dashed)
    ]
    assert len({outcome["outcomeId"] for outcome in outcomes}) == 1
    assert len({outcome["operationId"] for outcome in outcomes}) == 1
    assert {outcome["callId"] for outcome in outcomes} == {CALL, dashed}


def places(value, path=()):
    """The path to everything inside a document."""
    yield path
    if isinstance(value, (dict, list)):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, name))


def replaced(document, path, value):
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def test_anything_anywhere_gives_outcomes_as_the_schema_says_or_none(probe, outcome_schema):
    chance = random.Random(SEED)
    whole = body({"id": OPERATION, "status": "failed", "clientContext": OWN[0],
                  "resultInfo": RESULTS[3]},
                 {"id": None, "status": "completed", "clientContext": "a caller's"})
    paths = [path for path in places(whole) if path]
    values = [None, True, 0, -1, 1.5, "", "x", "..", "a/b", "iw:", [], {}, [[]], {"a": []}]
    count = 0
    for path in paths:
        for value in [*values, generate.any_value(chance, path[-1])]:
            outcomes, _ = told(probe, outcome_schema, replaced(whole, path, value), key="a-call")
            count += len(outcomes)
    assert count > len(paths)
