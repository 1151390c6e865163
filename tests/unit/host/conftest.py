"""Fixtures of the tests of the host's rooms."""

import pytest

from vigil.spec import CaptureBackend


@pytest.fixture(params=list(CaptureBackend))
def door(request: pytest.FixtureRequest) -> CaptureBackend:
    """Each library that opens sources: what holds for one holds for the other."""
    if request.param is CaptureBackend.PYAV:
        pytest.importorskip("av", reason="PyAV is not installed: pip install 'vigil[video]'")
    return request.param  # type: ignore[no-any-return]
