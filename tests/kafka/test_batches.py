"""Which commands share a request, and which never do."""

import random

from witness import by_id, command, person, sent_users, users

FAST = {"rate": {"call": 1000, "call_burst": 1000}}


def run(pipeline, commands, **options):
    """Everything is in the topic before the worker starts. The replies by commandId."""
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()
    pipeline.worker(**FAST, **options).start()
    replies = by_id(pipeline.replies.replies(len(commands)))
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    return replies


def named(number):
    return f"u-{number:03}"


def test_a_hot_call_is_sent_by_fives_in_the_order_of_its_commands(pipeline):
    commands = [command("c", named(n), commandId=f"{n}") for n in range(50)]
    replies = run(pipeline, commands)
    requests = pipeline.graph.invites()
    assert [len(users(request)) for request in requests] == [5] * 10
    assert sent_users(requests) == [named(n) for n in range(50)]
    assert not any(request["overlap"] for request in requests)
    assert {tuple(reply["batch"].values()) for reply in replies.values()} == {(5, 5)}
    operations = [request["operation"] for request in requests]
    for number in range(50):
        assert replies[f"{number}"]["operations"][0]["id"] == operations[number // 5]


def test_commands_with_another_context_never_share_a_request(pipeline):
    contexts = ["a", "a", "b", None, None, "b", "a"]
    commands = [
        command("c", named(n), clientContext=context, commandId=f"{n}")
        for n, context in enumerate(contexts)
    ]
    replies = run(pipeline, commands)
    requests = pipeline.graph.invites()
    assert sent_users(requests) == [named(n) for n in range(len(contexts))]
    of_user = {user: request for request in requests for user in users(request)}
    for number, context in enumerate(contexts):
        at_graph = of_user[named(number)]["client_context"]
        company = {contexts[int(user[2:])] for user in users(of_user[named(number)])}
        assert company == {context}
        assert at_graph == context if context else at_graph not in contexts
        assert replies[f"{number}"]["clientContext"] == context


def test_nobody_is_named_twice_in_one_request(pipeline):
    commands = [command("c", user, commandId=f"{n}") for n, user in enumerate("aAbab")]
    run(pipeline, commands)
    requests = [[user.lower() for user in users(one)] for one in pipeline.graph.invites()]
    assert all(len(set(request)) == len(request) for request in requests), requests
    assert [user for request in requests for user in request] == list("aabab")


def test_calls_never_share_a_request(pipeline):
    run(pipeline, [command(f"c-{n % 7}", named(n), commandId=f"{n}") for n in range(70)])
    for request in pipeline.graph.invites():
        assert {f"c-{int(user[2:]) % 7}" for user in users(request)} == {request["call"]}


def test_a_command_of_many_participants_is_split_and_gets_one_reply(pipeline):
    replies = run(pipeline, [command("c", *(named(n) for n in range(100)), commandId="many")])
    requests = pipeline.graph.invites()
    assert [len(users(request)) for request in requests] == [5] * 20
    assert sent_users(requests) == [named(n) for n in range(100)]
    reply = replies["many"]
    made = [operation["id"] for operation in reply["operations"]]
    assert made == [request["operation"] for request in requests]
    assert [item["operation"] for item in reply["participants"]] == [n // 5 for n in range(100)]
    assert reply["attempts"] == 20


KINDS = {
    "plain": lambda user: person(user),
    "replace": lambda user: person(user, replacesCallId="another-call"),
    "move": lambda user: person(user, replacesCallId="another-call", participantId="p"),
    "phone": lambda user: {"identity": {"phone": {"id": f"+4930{user[2:]}"}}},
}


def test_replace_move_and_phone_go_alone_anywhere_amid_plain_invites(pipeline):
    draw = random.Random(20240607)
    kinds = draw.choices(list(KINDS), weights=[6, 1, 1, 1], k=120)
    commands = [
        {"callId": "c", "commandId": f"{n}", "participants": [KINDS[kind](named(n))]}
        for n, kind in enumerate(kinds)
    ]
    run(pipeline, commands)
    requests = pipeline.graph.invites()
    sent = [one["kind"] for request in requests for one in request["participants"]]
    assert sent == kinds
    assert [int(name[-3:]) for name in sent_users(requests)] == list(range(120))
    for request in requests:
        kinds_here = [one["kind"] for one in request["participants"]]
        assert kinds_here == ["plain"] * len(kinds_here) or len(kinds_here) == 1
    assert max(len(request["participants"]) for request in requests) == 5


def test_solo_participants_inside_one_command_go_alone_too(pipeline):
    kinds = ["plain", "plain", "move", "plain", "replace", "replace", "phone", "plain"]
    participants = [KINDS[kind](named(n)) for n, kind in enumerate(kinds)]
    (reply,) = run(
        pipeline, [{"callId": "c", "commandId": "1", "participants": participants}]
    ).values()
    requests = [
        [one["kind"] for one in request["participants"]] for request in pipeline.graph.invites()
    ]
    alone = [["move"], ["plain"], ["replace"], ["replace"], ["phone"], ["plain"]]
    assert requests == [["plain", "plain"], *alone]
    assert [item["operation"] for item in reply["participants"]] == [0, 0, 1, 2, 3, 4, 5, 6]


def test_high_priority_is_served_before_what_waits(pipeline):
    waiting = [command("c", named(n), commandId=f"{n}") for n in range(20)]
    run(pipeline, [*waiting, command("c", "urgent", commandId="urgent", priority="high")])
    assert "urgent" in sent_users(pipeline.graph.invites())[:10]


def test_a_call_that_is_no_group_call_gets_one_participant_a_request(pipeline):
    pipeline.graph.set_rules({"participants_above": 1, "status": 400})
    replies = run(pipeline, [command("c", named(n), commandId=f"{n}") for n in range(20)])
    assert len(replies) == 20
    refused = [one for one in pipeline.graph.invites() if not one["effect"]]
    assert len(refused) == 1
    assert sent_users(pipeline.graph.effects()) == [named(n) for n in range(20)]
