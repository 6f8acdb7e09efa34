"""A pytest plugin: a skip is an excuse that must hold.

A test may be skipped only with a reason that begins with "impossible here: ". A file with such a
skip and no failure ends with 77, which ctest counts as skipped; any other skip is a failure.
"""

import pytest

from summary import IMPOSSIBLE

EXIT_SKIPPED = 77


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    reasons = [report.longrepr[2] for report in reporter.stats.get("skipped", [])]
    reasons = [reason.removeprefix("Skipped: ") for reason in reasons]
    for reason in reasons:
        print(f"\n{reason}")
    if not reasons or exitstatus != pytest.ExitCode.OK:
        return
    holds = all(reason.startswith(IMPOSSIBLE) for reason in reasons)
    session.exitstatus = EXIT_SKIPPED if holds else pytest.ExitCode.TESTS_FAILED
