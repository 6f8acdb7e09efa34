"""Random records around the border of the contract, from a seed."""

import copy
import json

from schemas import TENANT

IDS = ["a", "A-z_0.9~", "x" * 128, "x" * 129, ".", "..", "...", "", "a b", "a\n", "a/b", "é"]
TEXTS = ["", "a", "\n", "a" * 128, "a" * 129, "a" * 256, "a" * 257, "é" * 128, "é" * 129,
         "\U0001f600" * 256, "\U0001f600" * 257, "\0", "\ud800", "\x7f"]
DATES = ["2026-01-31T12:00:00Z", "2026-02-29T12:00:00Z", "2024-02-29t12:00:00z",
         "1900-02-29T00:00:00Z", "2000-02-29 00:00:00+00:00", "0000-01-01T00:00:00Z",
         "0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2026-04-31T00:00:00Z",
         "2026-13-01T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z",
         "2026-01-31T12:00:61Z", "2026-01-31T12:00:00", "2026-01-31", "2026-01-31T12:00:00+23:59",
         "2026-01-31T12:00:00+24:00", "2026-01-31T12:00:00-00:60", "2026-01-31T12:00:00.Z",
         "2026-01-31T12:00:00.1Z", f"2026-01-31T12:00:00.{'1' * 42}Z",
         f"2026-01-31T12:00:00.{'1' * 43}Z", "2026-01-31T12:00:00Z\n", " 2026-01-31T12:00:00Z",
         "2026-1-31T12:00:00Z", "0004-02-29T00:00:00Z", "２026-01-31T12:00:00Z"]
PHONES = ["+12", "+123456789012345", "+1234567890123456", "+0123456789", "+1", "+", "123456789",
          "+12345678901\n", "+1234a", "+1 234", "+١٢٣"]
TYPES = ["#microsoft.graph.identitySet", "#microsoft.graph.identity", "microsoft.graph.",
         "#microsoft.graph", "x", ""]
CHOICES = ["normal", "high", "report", "resend", "Normal", "HIGH"]
OTHERS = [None, None, True, False, 0, 1, -1, 2**63 - 1, 2**63, -(2**63) - 1, 1.5, 1e308, {}, [],
          [{}], {"id": "a"}, {"id": None}, {"id": 5}, {"id": ""}, {"id": "é" * 256},
          {"id": "é" * 257}, {"id": "x" * 256}, {"id": "x" * 257}, "a"]
NAMES = ["commandId", "cancel", "callId", "participants", "clientContext", "tenantId", "expiresAt",
         "priority", "onUnknown", "identity", "replacesCallId", "participantId", "hidden",
         "removeFromDefaultAudioRoutingGroup", "@odata.type", "user", "phone", "guest",
         "applicationInstance", "application", "device", "id", "displayName", "endpointType", "x",
         "", "é"]
FITTING = {"commandId": TEXTS, "cancel": TEXTS, "callId": IDS,
           "clientContext": TEXTS + ["iw:", "iw:0", "IW:", " iw:"],
           "tenantId": [TENANT, "x", ""],
           "expiresAt": DATES, "priority": CHOICES, "onUnknown": CHOICES, "replacesCallId": IDS,
           "participantId": IDS, "@odata.type": TYPES, "id": PHONES + TEXTS + IDS,
           "hidden": [True, False, 0, "true"]}
KINDS = ["user", "phone", "guest", "applicationInstance", "application", "device", "encrypted"]


def participant(random):
    kind = random.choice(KINDS)
    known = {"id": random.choice(PHONES[:2]) if kind == "phone" else random.choice("abc")}
    if random.random() < 0.3:
        known = {"@odata.type": "#microsoft.graph.identity", **known}
    result = {"identity": {kind: known}}
    if random.random() < 0.3:
        result["replacesCallId"] = random.choice(IDS[:3])
        if random.random() < 0.5:
            result["participantId"] = random.choice(IDS[:3])
    if random.random() < 0.2:
        result["identity"][random.choice(KINDS)] = copy.deepcopy(random.choice(OTHERS))
    return result


def command(random):
    """A command that is valid more often than not."""
    count = random.choice([1] * 20 + [2, 3, 5, 100, 101])
    result = {"callId": random.choice(IDS[:3]),
              "participants": [participant(random) for _ in range(count)]}
    optional = {"commandId": TEXTS[1:4], "clientContext": TEXTS[1:6], "tenantId": [TENANT],
                "expiresAt": DATES[0:5:4], "priority": CHOICES[:2], "onUnknown": CHOICES[2:4]}
    for name, values in optional.items():
        if random.random() < 0.2:
            result[name] = random.choice(values)
    return result


def cancel(random):
    """A cancel that is valid more often than not, and sometimes of a command before it."""
    made = ["invite-commands-0-0"] * 6 + ["invite-commands-0-1"] * 3
    target = random.choice(made + TEXTS[:9])
    result = {"callId": random.choice(IDS[:3]), "cancel": target}
    if random.random() < 0.3:
        result["commandId"] = random.choice(TEXTS[1:4])
    return result


def containers(value):
    """All objects and arrays in a document."""
    if isinstance(value, (dict, list)):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers(item)


def any_value(random, name):
    if random.random() < 0.7:
        return copy.deepcopy(random.choice(FITTING.get(name, OTHERS)))
    return copy.deepcopy(random.choice(OTHERS))


def mutate(random, document):
    """Change one member or item somewhere."""
    place = random.choice(list(containers(document)))
    remove = random.random() < 0.2
    if isinstance(place, list):
        if remove and place:
            place.pop()
        elif place:
            place[random.randrange(len(place))] = any_value(random, "x")
        else:
            place.append(any_value(random, "x"))
    elif remove and place:
        del place[random.choice(list(place))]
    else:
        name = random.choice(list(place) * 3 + NAMES)
        place[name] = any_value(random, name)


def damage(random, data):
    """Change a few bytes."""
    data = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(data))
        kind = random.randrange(4)
        if kind == 0:
            data[at] = random.choice(b'{}[]":,\\ \0\n\x80\xc0\xff0a')
        elif kind == 1:
            data[at:at] = bytes([random.randrange(256)])
        elif kind == 2:
            del data[at:at + random.randrange(1, 4)]
        else:
            data[at:at] = data[at:at + 20]
        data = data or bytearray(b" ")
    return bytes(data)


def record(random):
    """(key, value)"""
    document = cancel(random) if random.random() < 0.15 else command(random)
    for _ in range(random.choice([0, 1, 1, 1, 2, 3])):
        mutate(random, document)
    data = json.dumps(document, ensure_ascii=True).encode()
    if random.random() < 0.3:
        data = json.dumps(document, ensure_ascii=False, indent=random.choice([None, 1])).encode(
            errors="surrogatepass")
    if random.random() < 0.2:
        data = damage(random, data)
    key = document.get("callId")
    key = key if isinstance(key, str) and random.random() < 0.97 else "another"
    return key.encode(errors="surrogatepass"), data
