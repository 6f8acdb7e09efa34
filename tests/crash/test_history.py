"""The history checker is silent about sound histories and sees every way to falsify one."""

import random

import made_up
import mutants
import offsets
import pytest
from history import SECOND, History, Judge, figures, judge, report


def kinds(history):
    return sorted({violation.kind for violation in judge(history)})


def test_a_sound_history_has_no_violation():
    history = made_up.sound()
    assert judge(history) == [], report(history, judge(history))


def test_a_history_survives_being_saved(tmp_path):
    history = made_up.sound()
    history.save(tmp_path)
    assert History.load(tmp_path) == history


@pytest.mark.parametrize("name,kind,falsify", mutants.MUTANTS, ids=lambda value: str(value)[:60])
def test_every_mutant_is_caught(name, kind, falsify):
    for seed in range(5):
        history = made_up.sound()
        place = mutants.one(Judge(history), random.Random(seed))
        assert falsify(history, Judge(history), place) is not False, name
        # The mutant's own judge was made before the change, so the verdict is of a new one.
        assert kind in kinds(history), (name, place)


def test_every_mutant_counts_when_all_are_run():
    results = mutants.run(made_up.sound(), random.Random(1))
    assert len(results) == len(mutants.MUTANTS)
    assert all(caught for _, caught in results), results


def test_there_are_mutants_enough():
    assert len({name for name, _, _ in mutants.MUTANTS}) >= 12


def unknown(history, number):
    reply = history.replies[number]["value"]
    reply["participants"][0].update(status="unknown", operation=None)
    reply.update(status="unknown", operations=[])


def test_an_unknown_is_excused_by_a_kill_of_its_sender():
    history = made_up.sound()
    unknown(history, 5)
    assert kinds(history) == []


def test_an_unknown_is_not_excused_by_a_kill_long_ago():
    history = made_up.sound()
    unknown(history, 15)
    assert kinds(history) == ["unjustified-unknown"]


def begun_while_members_come_back(seconds):
    """The eighth command is never sent, three seconds after the kill; the group has its last
    assignment so long after it."""
    history = made_up.sound()
    unknown(history, 8)
    del history.requests[8]
    (kill,) = history.faults
    at = kill["end_us"] + int(seconds * made_up.SECOND)
    history.starts.append({"client": "worker-1.2", "at_us": at})
    return history


def test_an_unknown_is_excused_while_the_group_still_settles_after_a_fault():
    assert kinds(begun_while_members_come_back(2.9)) == []


def test_an_unknown_is_not_excused_by_members_that_come_long_after_a_fault():
    assert kinds(begun_while_members_come_back(3.1)) == ["unjustified-unknown"]


def test_an_unknown_is_excused_by_a_reset_of_its_connection():
    history = made_up.sound()
    unknown(history, 15)
    history.requests[15].update(status=0, end="reset")
    assert kinds(history) == []


def test_an_unknown_that_was_never_sent_is_excused_by_a_fault_near_its_mark():
    history = made_up.sound()
    unknown(history, 5)
    del history.requests[5]
    assert kinds(history) == []


def test_a_second_invite_is_allowed_to_those_who_ask_for_it_after_a_fault():
    history = made_up.sound()
    history.commands[5]["value"]["onUnknown"] = "resend"
    again = {**history.requests[5], "seq": 1000, "wall_us": history.requests[5]["wall_us"] + 9000}
    history.requests.append(again)
    assert kinds(history) == []


def test_a_worker_may_come_back_to_a_partition_with_a_new_assignment():
    history = made_up.sound()
    for number in range(10, 20):
        history.requests[number]["client"] = "worker-2.1"
    history.starts.append({"client": "worker-2.1", "at_us": made_up.START + 9 * SECOND})
    assert kinds(history) == ["late-post"]
    history.starts.append({"client": "worker-1.1", "at_us": made_up.START + 19 * SECOND + 10_000})
    assert kinds(history) == []


def test_a_story_tells_record_requests_replies_commits_and_faults():
    story = Judge(made_up.sound()).story((0, 5))
    for word in ("command (0, 5)", "request: ", "reply: ", "fault: ", "commit at "):
        assert word in story


def test_figures_count_what_the_report_names():
    history = made_up.sound()
    del history.replies[3]
    counted = figures(history, judge(history))
    assert (counted["commands"], counted["missingReplies"], counted["duplicateInvites"]) == (
        31, 1, 0,
    )


def test_a_map_is_read_as_it_was_written():
    states = {11: offsets.STARTED, 13: offsets.NEW}
    read = offsets.decode(offsets.encode(10, 5, states), 10)
    assert [read.state(offset) for offset in range(9, 17)] == [
        "replied", "replied", "started", "replied", "new", "replied", "new", "new",
    ]


@pytest.mark.parametrize("text", ["", "2:0:00000000:dA", "1:5:00000000:dA"])
def test_a_text_that_is_no_map_is_refused(text):
    with pytest.raises(ValueError):
        offsets.decode(text, 5)


def test_a_map_of_another_offset_is_refused():
    with pytest.raises(ValueError):
        offsets.decode(offsets.encode(5, 3), 6)


def test_what_a_dead_worker_had_sent_may_come_late():
    history = made_up.sound()
    late = history.requests[10]
    late.update(client="worker-2.1", end="lost")
    death = late["wall_us"] - 100_000
    history.faults.append(
        {"kind": "kill", "client": "worker-2.1", "begin_us": death, "end_us": death}
    )
    history.starts.append({"client": "worker-1.1", "at_us": death + 1000})
    assert kinds(history) == []
    history.starts[-1]["at_us"] = death - 1000
    assert kinds(history) == ["late-post"]
