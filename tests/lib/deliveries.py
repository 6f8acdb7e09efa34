"""What a worker promises: tests that hold for both promises run once for each."""

import pytest

EXACTLY_ONCE = "exactly-once"
AT_LEAST_ONCE = "at-least-once"
BOTH = pytest.mark.parametrize("delivery", [EXACTLY_ONCE, AT_LEAST_ONCE], indirect=True)


def only(promise):
    """For tests of what one of them alone promises."""
    return pytest.mark.parametrize("delivery", [promise], indirect=True)
