"""One pipeline of a soak: two workers that are killed and stopped under load, round after round,
and what was found."""

import collections
import dataclasses
import random
import shutil
import time

import history as histories
import mutants
from rig import Load
from takeover import Takeovers, takeovers

GRAPH_RULES = (
    {"name": "reset", "probability": 0.002, "seed": 1, "reset": "after"},
    {"name": "timeout", "probability": 0.001, "seed": 2, "status": 504, "effect": True},
    {"name": "throttled", "probability": 0.004, "seed": 3, "status": 429, "retry_after": "0.2"},
)
# So long the load goes on after a round's last kill: its successor needs something new to send.
LAST_SECONDS = 3
SUMS = (
    "commands", "participants", "invites", "duplicateInvites", "missingReplies",
    "duplicateReplies", "latePosts", "unknown", "unjustifiedUnknown", "reconciled",
    "reconciledWithoutLocation",
)


@dataclasses.dataclass
class Found:
    """What happened so far. Those of several pipelines add up."""

    kills: int = 0
    stops: int = 0
    cuts: int = 0
    broker_kills: int = 0
    exits: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # By status
    unfinished: int = 0  # Pipelines in which the rest was not answered in time
    sums: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    violations: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    takeovers: Takeovers = dataclasses.field(default_factory=Takeovers)
    mutants: dict = dataclasses.field(default_factory=dict)  # Name -> caught
    mark: dict = None

    def add(self, other):
        for name in ("kills", "stops", "cuts", "broker_kills", "unfinished"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.exits.update(other.exits)
        self.sums.update(other.sums)
        self.violations.update(other.violations)
        self.takeovers.add(other.takeovers)
        for name, caught in other.mutants.items():
            self.mutants[name] = caught and self.mutants.get(name, True)
        self.mark = self.mark or other.mark


class Soak:
    def __init__(self, options, rig):
        self.options = options
        self.rig = rig
        self.dice = random.Random(options.seed)
        self.load = Load(rig, options.rate, options.calls, seed=options.seed)
        self.begin = time.monotonic()
        self.found = Found()
        self.resume_at = {}

    def elapsed(self):
        return time.monotonic() - self.begin

    def poll(self, seconds):
        """Let time pass: replies are counted, stopped workers go on when it is their time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.load.replied += self.rig.poll_replies()
            for member, at in list(self.resume_at.items()):
                if time.monotonic() >= at:
                    del self.resume_at[member]
                    member.resume()

    def fault(self):
        """A stop of which the session may not know, connections that fail, or a kill."""
        member = self.dice.choice(self.rig.members)
        kind = self.dice.random()
        ended = member.revive()
        if ended:
            self.note_exit(member, ended)
        elif kind < self.options.stops:
            self.stop(member)
        elif kind < self.options.stops + self.options.cuts:
            relay = self.dice.choice((member.kafka, member.graph))
            member.disturb(relay, self.dice.uniform(0.05, 1.5), self.dice)
            self.found.cuts += 1
        else:
            self.kill(member)

    def note_exit(self, member, how):
        """It ended by itself: its log says why, and is kept."""
        self.found.exits[how] += 1
        client, log = member.ended[-1]
        kept = f".{how.replace(' ', '-')}-{self.options.seed}-{client}.log"
        shutil.copy(log, self.options.report.with_suffix(kept))

    def stop(self, member):
        if member not in self.resume_at:
            member.stop()
            self.resume_at[member] = time.monotonic() + self.dice.uniform(0.1, 4.5)
            self.found.stops += 1

    def kill(self, member):
        """Now and then both."""
        both = self.dice.random() < 0.05
        for victim in self.rig.members if both else [member]:
            self.resume_at.pop(victim, None)
            victim.kill()
            self.found.kills += 1

    def round(self):
        found = self.found
        goal = min(found.kills + self.options.round, self.options.kills)
        self.load.start()
        while found.kills < goal:
            self.poll(self.options.pause * self.dice.uniform(0.4, 1.6))
            self.fault()
            every = self.options.brokers
            if every and found.kills // every > found.broker_kills:
                found.broker_kills = found.kills // every
                self.rig.restart_broker()
        self.poll(LAST_SECONDS)
        self.load.stop()
        for member in list(self.resume_at):
            del self.resume_at[member]
            member.resume()
        complete = self.rig.finish(self.load)
        history = self.rig.take(self.options.delivery == "exactly-once")
        self.load.replied = self.load.produced
        return complete, history

    def judge(self, history):
        violations = histories.judge(history)
        figures = histories.figures(history, violations)
        for name in SUMS:
            self.found.sums[name] += figures[name]
        self.found.violations.update(figures["violations"])
        self.found.takeovers.add(takeovers(history))
        if violations:
            kept = f".violation-{self.options.seed}-{self.found.kills}"
            history.save(self.options.report.with_suffix(kept))
            print(histories.report(history, violations, 3), flush=True)
        return violations

    def sample(self):
        """A few seconds with a kill: a real history, short enough to falsify it in every way."""
        self.load.per_second, self.load.calls = 60, 20
        self.load.start()
        for member in self.rig.members:
            self.poll(1.5)
            member.kill()
            self.found.kills += 1
        self.load.stop()
        complete = self.rig.finish(self.load)
        history = self.rig.take(self.options.delivery == "exactly-once")
        violations = self.judge(history)
        self.found.unfinished += not complete
        self.found.takeovers = Takeovers()  # Its few calls are all in doubt after a kill
        if complete and not violations:
            self.found.mutants = dict(mutants.run(history, self.dice))
        self.load.per_second, self.load.calls = self.options.rate, self.options.calls

    def run(self, show):
        """`show` is told what was found so far, after each round."""
        options = self.options
        self.rig.start()
        self.sample()
        self.rig.simulator.set_rules(*GRAPH_RULES)
        while self.found.kills < options.kills and self.elapsed() < options.seconds:
            complete, history = self.round()
            self.judge(history)
            self.found.unfinished += not complete
            show(self.found)
            if not complete:
                print("the rest was not answered in time; this ends here", flush=True)
                break
