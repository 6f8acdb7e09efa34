"""The benchmark runs, judges its runs and reports them. What it measures here means nothing."""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# pylint: disable=wrong-import-position
import goals
import report
import workloads


def test_a_quick_run_answers_every_command_once_and_reports_sane_figures(tmp_path):
    path = tmp_path / "report.json"
    done = subprocess.run(
        [HERE / "run", "--quick", "--report", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(path.read_text(encoding="utf-8"))["workloads"]
    assert set(measured) == set(workloads.QUICK)
    for systems in measured.values():
        assert {*workloads.WORKERS, *workloads.FLOOR} <= set(systems)
        for figures in systems.values():
            assert 50 < figures["throughput"] < 1e6
            assert 0.1 < figures["cpuMicrosPerInvite"] < 10_000
            assert 4 < figures["rssMiB"] <= figures["peakRssMiB"] + 1 < 2_000
    for figures in measured["e"].values():
        latency = figures["latencyMs"]
        assert 0 <= latency["p50"] <= latency["p99"] <= latency["p999"] < 30_000
    tables = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "| b | floor |" in tables and "| e | floor |" in tables
    plots = {plot.name for plot in (tmp_path / "plots").iterdir()}
    assert plots == {"throughput.svg", "cpu.svg", "memory.svg", "latency-e.svg"}


def test_medians_and_spreads_are_of_all_runs():
    runs = [
        {
            "throughput": value,
            "latencyMs": {"p50": value, "p99": 9.0, "p999": 9.0},
            "distribution": [[0.5, value], [0.99, 9.0]],
        }
        for value in (30.0, 10.0, 20.0)
    ]
    summary = report.summary(runs)
    assert summary["throughput"] == 20.0
    assert summary["spread"]["throughput"] == [10.0, 30.0]
    assert summary["latencyMs"] == {"p50": 20.0, "p99": 9.0, "p999": 9.0}
    assert summary["spread"]["latencyMs"]["p50"] == [10.0, 30.0]
    assert summary["runs"] == 3


def test_goals_are_judged_from_what_was_measured():
    measured = {
        "a": {"worker-at-least-once": {"throughput": 12_300}},
        "b": {
            "worker-exactly-once": {"cpuMicrosPerInvite": 51.0},
            "parallel-consumer": {"cpuMicrosPerInvite": 120.0},
            "bento": {"cpuMicrosPerInvite": 100.0},
        },
        "e": {"worker-exactly-once": {"latencyMs": {"p99": 29.0}, "cpuCores": 0.25}},
    }
    assert [(text, is_met) for _, text, is_met in goals.judge(measured)] == [
        ("0.961", True), ("0.51", False), ("29", True), ("0.25", False),
    ]


def test_an_unknown_workload_is_refused():
    done = subprocess.run(
        [HERE / "run", "--workloads", "a,zz"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "zz" in done.stderr
