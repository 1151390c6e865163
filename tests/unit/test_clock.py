"""Times as text."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from vigil.clock import rfc3339


@given(st.floats(0.0, 4e9) | st.integers(0, 4_000_000_000).map(lambda ms: ms / 1000))
def test_a_time_is_written_as_by_the_standard_library(utc_s: float) -> None:
    exact = datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds")
    assert rfc3339(utc_s) == exact.replace("+00:00", "Z")


def test_what_rounds_up_to_the_next_second_is_its() -> None:
    assert rfc3339(1_700_000_000.9999999) == "2023-11-14T22:13:21.000Z"
