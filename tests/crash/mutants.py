"""Histories that a broken protocol would leave: each mutant takes a sound history and falsifies it
in one way, and the checker must notice. A mutant gives the kind of violation that it must cause,
or None when this history has nothing that it could falsify."""

import copy

import history as histories
import offsets

MUTANTS = []
HOUR = 3_600_000_000


def mutant(kind):
    def note(function):
        MUTANTS.append((function.__name__.replace("_", " "), kind, function))
        return function

    return note


def accepted(judge, single=True):
    """Places of commands whose only reply says accepted for all, with requests to it."""
    return [
        place
        for place, replies in sorted(judge.replies.items())
        if len(replies) == 1
        and replies[0]["value"]["status"] == "accepted"
        and not replies[0]["value"]["duplicateOf"]
        and place in judge.commands
        and (not single or len(histories.users_of(judge.commands[place])) == 1)
        and all(judge.places[u] == place for u in histories.users_of(judge.commands[place]))
        and all(judge.effects(user) for user in histories.users_of(judge.commands[place]))
    ]


def one(judge, dice):
    places = accepted(judge)
    return dice.choice(places) if places else None


def parts(judge, place):
    """The command's only user, request and reply."""
    (user,) = histories.users_of(judge.commands[place])
    return user, judge.effects(user)[0], judge.replies[place][0]


@mutant("duplicate-invite")
def an_invite_is_sent_again_after_a_crash(history, judge, place):
    _, invite, _ = parts(judge, place)
    again = {**invite, "wall_us": invite["wall_us"] + 1000, "seq": invite["seq"] + 10**9}
    history.requests.append(again)


@mutant("missing-reply")
def a_reply_is_lost(history, judge, place):
    history.replies.remove(judge.replies[place][0])


@mutant("duplicate-reply")
def a_reply_is_published_again(history, judge, place):
    history.replies.append(copy.deepcopy(judge.replies[place][0]))


@mutant("reply-without-command")
def a_reply_names_a_command_that_is_not_there(history, judge, place):
    again = copy.deepcopy(judge.replies[place][0])
    again["value"]["source"]["offset"] += 10**9
    history.replies.append(again)


@mutant("not-sent")
def accepted_is_said_of_what_never_left(history, judge, place):
    _, invite, _ = parts(judge, place)
    invite["effect"] = False


@mutant("no-effect-claimed")
def failed_is_said_of_what_took_effect(history, judge, place):
    _, _, reply = parts(judge, place)
    reply["value"]["participants"][0].update(status="failed", operation=None)


@mutant("no-effect-claimed")
def expired_is_said_of_what_was_sent(history, judge, place):
    _, _, reply = parts(judge, place)
    reply["value"]["participants"][0].update(status="expired", operation=None)


@mutant("no-effect-claimed")
def rejected_is_said_of_what_was_sent(history, judge, place):
    _, _, reply = parts(judge, place)
    reply["value"].update(status="rejected", participants=[])


@mutant("wrong-operation")
def a_reply_names_the_operation_of_another(history, judge, place):
    _, _, reply = parts(judge, place)
    reply["value"]["operations"][0]["id"] = "00000000-0000-4000-8000-000000000000"


@mutant("wrong-evidence")
def reconciled_without_evidence(history, judge, place):
    _, _, reply = parts(judge, place)
    reply["value"]["evidence"] = "operation"
    reply["value"]["participants"][0]["status"] = "reconciled"
    reply["value"]["operations"][0]["id"] = "00000000-0000-4000-8000-000000000000"


@mutant("not-sent")
def reconciled_by_a_roster_that_an_earlier_invite_filled(history, judge, place):
    _, invite, reply = parts(judge, place)
    reply["value"]["evidence"] = "roster"
    reply["value"]["participants"][0].update(status="reconciled", operation=None)
    invite["effect"] = False


@mutant("unjustified-unknown")
def unknown_though_nothing_went_wrong(history, judge, place):
    _, invite, reply = parts(judge, place)
    reply["value"]["participants"][0].update(status="unknown", operation=None)
    near = histories.AFTERMATH + 5 * histories.SECOND
    history.faults = [
        fault
        for fault in history.faults
        if fault["end_us"] < invite["wall_us"] - near or fault["begin_us"] > reply["at_us"] + near
    ]


@mutant("unjustified-unknown")
def unknown_and_only_another_worker_had_a_fault(history, judge, place):
    _, invite, reply = parts(judge, place)
    reply["value"]["participants"][0].update(status="unknown", operation=None)
    at = invite["wall_us"]
    history.faults = [{"kind": "kill", "client": "another", "begin_us": at, "end_us": at}]


@mutant("late-post")
def a_stopped_worker_sends_after_its_reply_was_written(history, judge, place):
    _, invite, reply = parts(judge, place)
    late = {**invite, "effect": False, "wall_us": reply["at_us"] + 50_000, "seq": 10**9}
    history.requests.append(late)


@mutant("late-post")
def a_stopped_worker_sends_for_a_partition_that_was_taken_over(history, judge, place):
    """The request of the old owner stands between two of the new one."""
    users = [user for user, at in judge.places.items() if at[0] == place[0]]
    mine = sorted(
        (judge.sent[user][0] for user in users if user in judge.sent),
        key=lambda invite: invite["wall_us"],
    )
    mine = [invite for n, invite in enumerate(mine) if n == 0 or invite is not mine[n - 1]]
    if len(mine) < 3:
        return False
    old, new = "zombie.1", "successor.1"
    for invite, client in zip(mine, [old, new, old]):
        invite["client"] = client
    history.starts = [{"client": client, "at_us": 0} for client in (old, new)]
    return True


@mutant("order")
def two_commands_of_a_call_change_places(history, judge, place):
    by_call = {}
    for invite in judge.invites:
        users = [participant["id"] for participant in invite["participants"]]
        at = judge.places.get(users[0]) if len(users) == 1 else None
        command = judge.commands.get(at)
        if command is None or command["value"].get("priority") == "high":
            continue
        if len(histories.users_of(command)) > 1 or len(judge.sent[users[0]]) > 1:
            continue
        before = by_call.setdefault(invite["call"], (invite, at))
        if before[1] < at:
            a, b = before[0]["wall_us"], invite["wall_us"]
            before[0]["wall_us"], invite["wall_us"] = b, a
            return True
    return False


@mutant("rate")
def the_bucket_is_full_again_after_a_crash(history, judge, place):
    _, invite, _ = parts(judge, place)
    at = invite["wall_us"]
    for number in range(2 * int(history.settings["burst"]) + 2):
        history.requests.append(
            {**invite, "effect": False, "wall_us": at + number, "seq": 10**9 + number}
        )


@mutant("past-the-frontier")
def an_offset_without_a_reply_is_committed(history, judge, place):
    if not any(c["partition"] == place[0] and c["offset"] > place[1] for c in history.commits):
        return False
    judge.replies[place][0]["at_us"] += HOUR
    return True


def last_commit(history, place):
    commits = [commit for commit in history.commits if commit["partition"] == place[0]]
    return commits[-1] if commits else None


@mutant("rewound")
def an_old_map_lands_last(history, judge, place):
    last = last_commit(history, place)
    earlier = [c for c in history.commits
               if last and c["partition"] == place[0] and c["offset"] < last["offset"]]
    if not earlier:
        return False
    history.commits.append({**earlier[-1], "at_us": last["at_us"] + 1000})
    return True


@mutant("reply-forgotten")
def a_plain_commit_overlaps_a_transaction(history, judge, place):
    """What was replied is not, in the next commit of the same base."""
    known = {}
    for index, commit in enumerate(history.commits):
        before = known.get(commit["partition"])
        known[commit["partition"]] = commit
        now = offsets.decode(commit["metadata"], commit["offset"])
        if now.replied() and before is not None:
            empty = {**commit, "metadata": offsets.encode(commit["offset"], 0)}
            history.commits.insert(index + 1, empty)
            return True
    return False


@mutant("sent-without-mark")
def nothing_is_marked_before_it_is_sent(history, judge, place):
    if not any(commit["partition"] == place[0] for commit in history.commits):
        return False
    history.commits = [
        commit
        for commit in history.commits
        if offsets.decode(commit["metadata"], commit["offset"]).state(place[1])
        not in ("started", "partly")
        or commit["partition"] != place[0]
    ]
    return True


@mutant("sent-without-mark")
def the_mark_is_acknowledged_after_the_request(history, judge, place):
    marked = judge.marks().get(place)
    _, invite, _ = parts(judge, place)
    if marked is None:
        return False
    invite["wall_us"] = marked - 50_000
    return True


@mutant("resend-without-cause")
def resent_though_the_first_was_answered(history, judge, place):
    judge.commands[place]["value"]["onUnknown"] = "resend"
    an_invite_is_sent_again_after_a_crash(history, judge, place)
    history.faults = []


@mutant("duplicate-invite")
def resent_twice(history, judge, place):
    judge.commands[place]["value"]["onUnknown"] = "resend"
    an_invite_is_sent_again_after_a_crash(history, judge, place)
    an_invite_is_sent_again_after_a_crash(history, judge, place)


@mutant("invite-without-command")
def somebody_is_invited_whom_nobody_named(history, judge, place):
    _, invite, _ = parts(judge, place)
    stranger = [{"id": "stranger", "kind": "plain", "type": "user", "read": True}]
    history.requests.append({**invite, "participants": stranger})


@mutant("dead-letters")
def a_rejected_command_leaves_no_dead_letter(history, judge, place):
    if not history.dead_letters:
        return False
    history.dead_letters.pop()
    return True


@mutant("bad-map")
def a_map_is_damaged(history, judge, place):
    last = last_commit(history, place)
    if last is None:
        return False
    last["metadata"] = last["metadata"][:-1] + ("A" if last["metadata"][-1] != "A" else "B")
    return True


def run(sound, dice):
    """(name, caught) of every mutant that this history has material for."""
    results = []
    before = {violation.kind for violation in histories.judge(sound)}
    for name, kind, falsify in MUTANTS:
        changed = copy.deepcopy(sound)
        judge = histories.Judge(changed)
        place = one(judge, dice)
        if place is None or falsify(changed, judge, place) is False:
            continue
        kinds = {violation.kind for violation in histories.judge(changed)}
        results.append((name, kind in kinds and kind not in before))
    return results
