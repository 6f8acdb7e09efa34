"""The group's commits as the broker stores them, and the map in their metadata, read anew.

Written from the descriptions in worker/core/map.c and of Kafka's message formats, so that the
worker's own reader is not trusted here.
"""

import dataclasses
import struct
import zlib

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NEW, STARTED, REPLIED, PARTLY = range(4)
NAMES = ("new", "started", "replied", "partly")


@dataclasses.dataclass
class Map:
    """What a commit says: offsets before the base are replied, unnamed ones behind it are new."""

    base: int
    states: dict

    def state(self, offset):
        return "replied" if offset < self.base else NAMES[self.states.get(offset, NEW)]

    def is_replied(self, offset):
        return offset < self.base or self.states.get(offset) == REPLIED

    def replied(self):
        return [offset for offset, state in self.states.items() if state == REPLIED]

    def started(self):
        return [offset for offset, state in self.states.items() if state in (STARTED, PARTLY)]


class Digits:
    """Reads digits of 6 bits."""

    def __init__(self, text):
        self.values = [ALPHABET.index(character) for character in text]
        self.at = 0

    def take(self):
        if self.at == len(self.values):
            raise ValueError("the map ends too early")
        self.at += 1
        return self.values[self.at - 1]

    def number(self):
        number, shift = 0, 0
        while True:
            digit = self.take()
            number |= (digit & 31) << shift
            shift += 5
            if not digit & 32:
                return number

    def progress(self):
        settled, in_flight = self.number(), self.number()
        for _ in range(0, settled, 6):
            self.take()
        return settled, in_flight


def decode(text, offset):
    """The map of a commit at this offset; ValueError when it is none."""
    fields = text.split(":", 3)
    if len(fields) != 4 or fields[0] != "1":
        raise ValueError("no map of version 1")
    _, base, checksum, rest = fields
    if zlib.crc32(f"{base}:{rest}".encode()) != int(checksum, 16):
        raise ValueError("the checksum of the map is wrong")
    if int(base) != offset:
        raise ValueError("the map was made for another offset")
    digits = Digits(rest[1:])
    size = digits.number()
    read = {"d": read_dense, "s": read_sparse}[rest[0]]
    return Map(offset, read(digits, offset, size))


def read_dense(digits, base, size):
    states = {}
    for first in range(0, size, 3):
        digit = digits.take()
        for place in range(min(3, size - first)):
            state = digit >> 2 * place & 3
            if state != NEW:
                states[base + first + place] = state
    for state in list(states.values()):
        if state == PARTLY:
            digits.progress()
    return states


def read_sparse(digits, base, size):
    states = {base + place: REPLIED for place in range(size)}
    offset = base
    while digits.at < len(digits.values):
        gap, state = divmod(digits.number(), 4)
        offset += gap
        if state == PARTLY:
            digits.progress()
        states[offset] = state
        if state == NEW:
            del states[offset]
        offset += 1
    return states


def text_at(data, at):
    (size,) = struct.unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + size].decode(), at + 2 + size


def parse_commit(key, value):
    """A record of __consumer_offsets as (group, topic, partition, offset, metadata, at_us), or
    None when it is no commit."""
    (version,) = struct.unpack_from(">h", key, 0)
    if version > 1 or value is None:
        return None
    group, at = text_at(key, 2)
    topic, at = text_at(key, at)
    (partition,) = struct.unpack_from(">i", key, at)
    version, offset = struct.unpack_from(">hq", value, 0)
    metadata, at = text_at(value, 14 if version >= 3 else 10)
    (at_ms,) = struct.unpack_from(">q", value, at)
    return group, topic, partition, offset, metadata, at_ms * 1000


def number_digits(number):
    digits = []
    while number >= 32:
        digits.append(32 | number & 31)
        number >>= 5
    return [*digits, number]


def encode(base, size, states=()):
    """A dense map of offsets that are replied unless 'states' says otherwise; for histories that
    tests make up."""
    states, digits = dict(states), []
    for first in range(0, size, 3):
        digits.append(
            sum(
                states.get(base + first + place, REPLIED) << 2 * place
                for place in range(min(3, size - first))
            )
        )
    rest = "d" + "".join(ALPHABET[digit] for digit in [*number_digits(size), *digits])
    checksum = zlib.crc32(f"{base}:{rest}".encode())
    return f"1:{base}:{checksum:08x}:{rest}"
