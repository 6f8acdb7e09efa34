"""The schemas of config/, and what a record must be before a schema can look at it."""

import json
import math
import re

import jsonschema

from probe import ROOT

CONFIG = ROOT / "config"
BYTES_MAX = 65536
NESTING_MAX = 16
TENANT = "contoso.example"


def load(name):
    return json.loads((CONFIG / name).read_text())


def ecma_pattern(_validator, pattern, instance, _schema):
    """JSON Schema means ECMA-262, where `$` does not match before a final line feed."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


Validator = jsonschema.validators.extend(jsonschema.Draft7Validator, {"pattern": ecma_pattern})


def validator(name):
    schema = load(name)
    Validator.check_schema(schema)
    return Validator(schema)


def unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def nesting(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(nesting, value), default=0) if isinstance(value, list) else 0


def check(value):
    """What Python reads and the contract does not allow."""
    if isinstance(value, str):
        value.encode()
        if "\0" in value:
            raise ValueError("NUL")
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("too big")
    elif isinstance(value, float) and math.isinf(value):
        raise ValueError("too big")
    elif isinstance(value, dict):
        for name, member in value.items():
            check(name)
            check(member)
    elif isinstance(value, list):
        for item in value:
            check(item)


def read(data):
    """The document in a record, or ValueError: the limits that surround the command's schema."""
    if not 0 < len(data) <= BYTES_MAX or b"\0" in data:
        raise ValueError("size or NUL")
    try:
        value = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("nesting") from error
    if nesting(value) > NESTING_MAX:
        raise ValueError("nesting")
    check(value)
    return value


def accepts(schema, key, data):
    """Whether the contract allows this record."""
    try:
        command = read(data)
    except ValueError:
        return False
    if not schema.is_valid(command):
        return False
    tenant = command.get("tenantId")
    return command["callId"].encode() == key and tenant in (None, TENANT)
