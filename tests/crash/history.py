"""What happened in a run, as its witnesses saw it, and the judgement on it.

The witnesses: the records of the command topic, the journal of the simulated Graph, the replies
and dead letters that a read_committed reader sees, every commit of the group as the broker stored
it, and the faults that the test made. All times are microseconds of the wall clock, which all of
them share. Nothing here uses the worker's code.

    history.py DIRECTORY    judges a saved run and prints every violation with its story
"""

import bisect
import collections
import dataclasses
import json
import pathlib
import sys

import offsets

SECOND = 1_000_000
# From a fault's end to its last consequence: an answer may be in hand, its reply not yet stored.
AFTERMATH = 2 * SECOND
BEFORE = SECOND // 5
# A member that was away comes back and partitions are shared anew: the group's last assignment
# within so long belongs to the fault.
REUNION = 3 * SECOND
# Kafka's times are whole milliseconds.
TICK = 1_000
SENT = ("accepted", "reconciled")
NO_EFFECT = ("failed", "rejected", "expired", "canceled")
SETTINGS = {
    "rate": None,
    "burst": None,
    "exactly_once": True,
    "complete": True,
    "slack_tokens": 1.2,
}


@dataclasses.dataclass
class History:
    """Lists of dicts; see record.py for who fills them in."""

    commands: list = dataclasses.field(default_factory=list)
    requests: list = dataclasses.field(default_factory=list)
    replies: list = dataclasses.field(default_factory=list)
    dead_letters: list = dataclasses.field(default_factory=list)
    commits: list = dataclasses.field(default_factory=list)
    faults: list = dataclasses.field(default_factory=list)
    starts: list = dataclasses.field(default_factory=list)
    settings: dict = dataclasses.field(default_factory=lambda: dict(SETTINGS))

    def save(self, directory):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            lines = value if isinstance(value, list) else [value]
            text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
            (directory / f"{field.name}.jsonl").write_text(text)

    @classmethod
    def load(cls, directory):
        history = cls()
        for field in dataclasses.fields(cls):
            path = pathlib.Path(directory) / f"{field.name}.jsonl"
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            is_list = isinstance(getattr(history, field.name), list)
            setattr(history, field.name, lines if is_list else {**SETTINGS, **lines[0]})
        return history


@dataclasses.dataclass(frozen=True)
class Violation:
    kind: str
    text: str
    place: tuple = None  # (partition, offset) of a command


def user_of(participant):
    """The id of a command's participant, whatever kind of identity it has."""
    for value in participant.get("identity", {}).values():
        if isinstance(value, dict) and value.get("id"):
            return value["id"]
    return None


def users_of(command):
    value = command["value"]
    named = value.get("participants", []) if isinstance(value, dict) else []
    return [user_of(participant) for participant in named if isinstance(participant, dict)]


class Judge:
    """Indexes over one history, and the rules; each adds the violations that it finds."""

    def __init__(self, history):
        self.history = history
        self.settings = history.settings
        self.found = []
        self.commands = {(c["partition"], c["offset"]): c for c in history.commands}
        self.places = {}
        for place, command in sorted(self.commands.items()):
            for user in users_of(command):
                self.places.setdefault(user, place)
        self.replies = collections.defaultdict(list)
        for reply in history.replies:
            source = reply["value"]["source"]
            self.replies[source["partition"], source["offset"]].append(reply)
        self.invites = sorted(
            (r for r in history.requests if r["route"] == "invite"), key=lambda r: r["wall_us"]
        )
        self.sent = collections.defaultdict(list)
        for invite in self.invites:
            for participant in invite["participants"]:
                self.sent[participant["id"]].append(invite)
        self.deaths = {f["client"]: f["end_us"] for f in history.faults if f["kind"] == "kill"}
        self.assignments = sorted(start["at_us"] for start in history.starts)
        self.started_at, self.commits = None, collections.defaultdict(list)
        for commit in history.commits:
            self.commits[commit["partition"]].append(commit)

    def add(self, kind, text, place=None):
        self.found.append(Violation(kind, text, place))

    def effects(self, user):
        return [invite for invite in self.sent.get(user, ()) if invite["effect"]]

    def judge(self):
        for rule in (
            self.one_reply_each,
            self.no_second_invite,
            self.replies_tell_the_truth,
            self.dead_letters_match,
            self.in_order,
            self.within_rates,
            self.commits_hold,
            self.marked_before_sent,
            self.no_late_post,
            self.unknown_has_a_reason,
        ):
            rule()
        return self.found

    def one_reply_each(self):
        for place, replies in self.replies.items():
            if place not in self.commands:
                self.add("reply-without-command", f"nobody asked: {place}", place)
            elif len(replies) > 1:
                self.add("duplicate-reply", f"{len(replies)} replies", place)
        for place in self.commands if self.settings["complete"] else ():
            if place not in self.replies:
                self.add("missing-reply", "no reply", place)

    def no_second_invite(self):
        for user in self.sent:
            effects = self.effects(user)
            place = self.places.get(user)
            if place is None:
                self.add("invite-without-command", f"{user} is in no command")
                continue
            may_resend = self.commands[place]["value"].get("onUnknown") == "resend"
            if len(effects) > 1 + may_resend:
                self.add("duplicate-invite", f"{user}: {len(effects)} invites", place)
            elif len(effects) == 2 and not self.excuse(effects[0]):
                self.add("resend-without-cause", f"{user}: the first invite met no fault", place)

    def replies_tell_the_truth(self):
        for place, replies in self.replies.items():
            command = self.commands.get(place)
            for reply in replies if command else ():
                if not reply["value"].get("duplicateOf"):
                    self.truth_of(place, users_of(command), reply["value"])

    def truth_of(self, place, users, value):
        if value["status"] == "rejected":
            for user in users:
                if self.effects(user) and self.places.get(user) == place:
                    self.add("no-effect-claimed", f"rejected, but {user} was invited", place)
            return
        if len(value["participants"]) != len(users):
            self.add("wrong-reply", "participants of the reply and the command differ", place)
            return
        for user, said in zip(users, value["participants"]):
            effects = self.effects(user)
            if said["status"] in SENT and not effects:
                self.add("not-sent", f"{user} is {said['status']} and was never invited", place)
            elif said["status"] in NO_EFFECT and effects and self.places[user] == place:
                self.add("no-effect-claimed", f"{user} is {said['status']}, but invited", place)
            elif said["status"] in SENT:
                self.operation_of(place, user, said, value, effects)

    def operation_of(self, place, user, said, value, effects):
        """The operation that the reply names is one that Graph made for this participant."""
        if said["operation"] is None:
            if said["status"] == "accepted" or value["evidence"] == "operation":
                self.add("no-operation", f"{user}: no operation is named", place)
            return
        named = value["operations"][said["operation"]]["id"]
        if named not in [effect["operation"] for effect in effects]:
            kind = "wrong-evidence" if said["status"] == "reconciled" else "wrong-operation"
            self.add(kind, f"{user}: operation {named} did not invite them", place)

    def dead_letters_match(self):
        counts = collections.Counter(letter["text"] for letter in self.history.dead_letters)
        rejected = collections.Counter(
            self.commands[place]["text"]
            for place, replies in self.replies.items()
            if place in self.commands and replies[0]["value"]["status"] == "rejected"
        )
        for text in (counts - rejected) + (rejected - counts):
            self.add("dead-letters", f"{counts[text]} for {rejected[text]} rejected: {text[:80]}")

    def in_order(self):
        first, newest = {}, {}
        for invite in self.invites:
            for participant in invite["participants"]:
                place = self.places.get(participant["id"])
                if place is None or place in first:
                    continue
                first[place] = invite
                if self.commands[place]["value"].get("priority") == "high":
                    continue
                before = newest.get(invite["call"])
                if before and before[0] == place[0] and before[1] > place[1]:
                    self.add("order", f"sent after offset {before[1]} of its call", place)
                newest[invite["call"]] = place

    def within_rates(self):
        if not self.settings["rate"]:
            return
        per_us = self.settings["rate"] / SECOND
        buckets = {}
        for invite in self.invites:
            level, at = buckets.get(invite["call"], (self.settings["burst"], invite["wall_us"]))
            level += (invite["wall_us"] - at) * per_us
            level = min(level, self.settings["burst"]) - 1
            if level < -self.settings["slack_tokens"]:
                self.add("rate", f"{invite['call']} at {invite['wall_us']}: {level:.2f} tokens")
                level = 0
            buckets[invite["call"]] = level, invite["wall_us"]

    def commits_hold(self):
        """No commit is past the frontier, none takes back what an earlier one said."""
        for partition, commits in self.commits.items():
            known = offsets.Map(0, {})
            times = {
                offset: min(reply["at_us"] for reply in replies)
                for (number, offset), replies in self.replies.items()
                if number == partition
            }
            mine = sorted(offset for number, offset in self.commands if number == partition)
            for commit in commits:
                try:
                    now = offsets.decode(commit["metadata"], commit["offset"])
                except ValueError as error:
                    self.add("bad-map", f"partition {partition}: {error}: {commit}")
                    continue
                self.compare(partition, commit, known, now)
                self.check_frontier(partition, commit, now, known, mine, times)
                known = now

    def compare(self, partition, commit, known, now):
        if now.base < known.base:
            self.add("rewound", f"from {known.base} to {now.base} at {commit['at_us']}",
                     (partition, now.base))
        lost = [offset for offset in known.replied() if not now.is_replied(offset)]
        for offset in lost[:3]:
            self.add("reply-forgotten", f"replied before {commit['at_us']}", (partition, offset))

    def check_frontier(self, partition, commit, now, known, mine, times):
        low, high = bisect.bisect_left(mine, known.base), bisect.bisect_left(mine, now.base)
        claimed = set(mine[low:high]) | {o for o in now.replied() if not known.is_replied(o)}
        for offset in sorted(claimed):
            if (partition, offset) not in self.commands:
                continue
            if times.get(offset, commit["at_us"] + SECOND * 3600) > commit["at_us"] + 5 * TICK:
                self.add("past-the-frontier", f"no reply at {commit['at_us']}, yet committed",
                         (partition, offset))

    def marks(self):
        """When each command was first committed as started."""
        if self.started_at is None:
            self.started_at = {}
            for partition, commits in self.commits.items():
                for commit in commits:
                    try:
                        now = offsets.decode(commit["metadata"], commit["offset"])
                    except ValueError:
                        continue
                    for offset in now.started():
                        self.started_at.setdefault((partition, offset), commit["at_us"])
        return self.started_at

    def marked_before_sent(self):
        if not self.settings["exactly_once"] or not self.history.commits:
            return
        marks = self.marks()
        for invite in self.invites:
            for place in {self.places.get(p["id"]) for p in invite["participants"]} - {None}:
                if marks.get(place, invite["wall_us"] + 2 * TICK) > invite["wall_us"] + TICK:
                    self.add("sent-without-mark", f"request {invite['seq']}", place)

    def no_late_post(self):
        """Nobody posts for a partition that another has taken over, nor after the reply."""
        starts = collections.defaultdict(list)
        for start in self.history.starts:
            starts[start["client"]].append(start["at_us"])
        tenants = {}
        for invite in self.invites:
            place = next((self.places[p["id"]] for p in invite["participants"]
                          if p["id"] in self.places), None)
            if place is None:
                continue
            self.late_for_its_reply(invite)
            self.late_for_its_partition(invite, place, tenants, starts)

    def late_for_its_reply(self, invite):
        for participant in invite["participants"]:
            place = self.places.get(participant["id"])
            replies = self.replies.get(place)
            if replies and replies[0]["at_us"] + TICK < invite["wall_us"]:
                self.add("late-post", f"request {invite['seq']} came after the reply", place)
                return

    def late_for_its_partition(self, invite, place, tenants, starts):
        """A client may come back to a partition only with an assignment of its own that is
        younger than the first request of the one between."""
        client, at = invite.get("client"), invite["wall_us"]
        # Nobody was there to answer: it had left before its sender died, and took so long to come.
        if invite["end"] == "lost":
            at = min(at, self.deaths.get(client, at))
        tenant, since, gone = tenants.get(place[0], (None, 0, {}))
        if client is None or client == tenant:
            return
        taken = gone.get(client)
        if taken is not None and not any(taken < start <= at for start in starts[client]):
            self.add("late-post", f"request {invite['seq']} of {client}, after {tenant}", place)
            return
        gone = {**gone, tenant: at}
        gone.pop(client, None)
        tenants[place[0]] = client, at, gone

    def unknown_has_a_reason(self):
        for place, replies in self.replies.items():
            command = self.commands.get(place)
            for reply in replies if command else ():
                said = reply["value"]["participants"]
                for user, participant in zip(users_of(command), said):
                    if participant["status"] == "unknown" and not self.reason(place, user, reply):
                        self.add("unjustified-unknown", f"{user}: no fault near it", place)

    def reason(self, place, user, reply):
        invites = self.sent.get(user)
        if invites:
            return any(self.excuse(invite) for invite in invites)
        marked = self.marks().get(place)
        since = marked - BEFORE if marked else self.commands[place]["at_us"]
        until = marked + AFTERMATH if marked else reply["at_us"]
        return self.fault_between(since, until, None)

    def excuse(self, invite):
        """The fault that this request met: its own answer, or something that befell its sender."""
        bad = invite["status"] in (0, 408, 500, 502, 504) or invite["status"] == 503
        if bad or invite["end"] != "sent" or invite.get("bad_answer"):
            return True
        ended = invite["wall_us"] + max(0, invite["ended_us"] - invite["at_us"])
        return self.fault_between(invite["wall_us"] - BEFORE, ended + AFTERMATH, invite["client"])

    def fault_between(self, since, until, client):
        return any(
            fault["begin_us"] <= until
            and self.end_of(fault) + BEFORE >= since
            and (client is None or fault["client"] in (None, client))
            for fault in self.history.faults
        )

    def end_of(self, fault):
        """When the group has got over it: what is begun while its members still come and go may
        be lost to them."""
        last = bisect.bisect_right(self.assignments, fault["end_us"] + REUNION)
        return max([fault["end_us"], *self.assignments[max(0, last - 1) : last]])

    def story(self, place):
        """All that is known of one command, as lines."""
        command = self.commands.get(place)
        lines = [f"command {place}: {json.dumps(command)}"]
        users = users_of(command) if command else []
        requests = {id(i): i for user in users for i in self.sent.get(user, ())}
        lines += [f"request: {json.dumps(request)}" for request in requests.values()]
        lines += [f"reply: {json.dumps(reply)}" for reply in self.replies.get(place, ())]
        times = [r["wall_us"] for r in requests.values()]
        times += [r["at_us"] for r in self.replies.get(place, ())]
        times += [command["at_us"]] if command else []
        if times:
            since, until = min(times) - SECOND, max(times) + SECOND
            faults = self.history.faults
            near = [f for f in faults if since <= f["end_us"] and f["begin_us"] <= until]
            lines += [f"fault: {json.dumps(fault)}" for fault in near[-20:]]
            lines += self.story_of_commits(place, since, until)
        return "\n  ".join(lines)

    def story_of_commits(self, place, since, until):
        lines, before = [], None
        for commit in self.commits.get(place[0], ()):
            if not since <= commit["at_us"] <= until:
                continue
            try:
                state = offsets.decode(commit["metadata"], commit["offset"]).state(place[1])
            except ValueError as error:
                state = str(error)
            if state != before:
                lines.append(f"commit at {commit['at_us']}, base {commit['offset']}: {state}")
            before = state
        return lines[:12]


def judge(history):
    """All violations."""
    return Judge(history).judge()


def figures(history, violations):
    """The numbers of a report."""
    kinds = collections.Counter(violation.kind for violation in violations)
    said = [p for reply in history.replies for p in reply["value"]["participants"]]
    statuses = collections.Counter(participant["status"] for participant in said)
    without = sum(
        participant["status"] == "reconciled"
        and (
            participant["operation"] is None
            or not reply["value"]["operations"][participant["operation"]]["location"]
        )
        for reply in history.replies
        for participant in reply["value"]["participants"]
    )
    return {
        "commands": len(history.commands),
        "participants": sum(len(users_of(command)) for command in history.commands),
        "invites": sum(r["route"] == "invite" for r in history.requests),
        "duplicateInvites": kinds["duplicate-invite"],
        "missingReplies": kinds["missing-reply"],
        "duplicateReplies": kinds["duplicate-reply"],
        "latePosts": kinds["late-post"],
        "unknown": statuses["unknown"],
        "unjustifiedUnknown": kinds["unjustified-unknown"],
        "reconciled": statuses["reconciled"],
        "reconciledWithoutLocation": without,
        "statuses": dict(statuses),
        "violations": dict(kinds),
    }


def report(history, violations, most=10):
    """For people: every kind of violation, the first few with their stories."""
    judge_of = Judge(history)
    lines = [f"{n} x {kind}" for kind, n in
             collections.Counter(violation.kind for violation in violations).items()]
    for violation in violations[:most]:
        lines.append(f"{violation.kind}: {violation.text}")
        if violation.place:
            lines.append(f"  {judge_of.story(violation.place)}")
    return "\n".join(lines)


def main():
    history = History.load(sys.argv[1])
    violations = judge(history)
    print(json.dumps(figures(history, violations), indent=2))
    print(report(history, violations))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
