"""References to passwords: which may be named, what they stand for, and that nothing of it is told."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vigil.config import SecretsConfig
from vigil.fleet import secrets as module
from vigil.fleet.secrets import MAX_SECRET_BYTES, SecretReader, SecretUnreadable
from vigil.redact import Redactor

CANARY = "c@n/ary:%41 ß✓?#\\\"'Kanarie"
HOSTILE = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("@/%: ?#&\\\"'ß"),
    min_size=1,
    max_size=64,
)


@pytest.fixture(autouse=True)
def redactor(monkeypatch: pytest.MonkeyPatch) -> Redactor:
    """Of its own: what is told to the process's redactor would be blanked in all other tests."""
    own = Redactor()
    monkeypatch.setattr(module, "REDACTOR", own)
    return own


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


def reader(roots: Path | None = None, **environ: str) -> SecretReader:
    file_roots = (str(roots),) if roots else ()
    return SecretReader(SecretsConfig(env=("CAMERA_*", "NVR"), file_roots=file_roots), environ)


@given(HOSTILE)
@example(CANARY)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_hostile_password_comes_whole_by_both_ways_and_is_blanked(
    redactor: Redactor, roots: Path, password: str
) -> None:
    (roots / "gate").write_text(f"{password}\n", encoding="utf-8")
    for reference in ("env:CAMERA_GATE", f"file:{roots}/gate"):
        assert reader(roots, CAMERA_GATE=password).read(reference, user="operator") == password
    if len(password) >= 4:
        assert password not in redactor.text(f"cannot open rtsp://operator:{password}@h/live")


@given(HOSTILE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_cannot_be_used_says_why_and_nothing_of_it(roots: Path, password: str) -> None:
    (roots / "gate").write_bytes(f"{password}\n\n".encode())
    for bad in (reader(roots), reader(roots, CAMERA_GATE=f"{password}\t")):
        for reference in ("env:CAMERA_GATE", f"file:{roots}/gate"):
            with pytest.raises(SecretUnreadable) as refused:
                bad.read(reference)
            told = str(refused.value).replace(str(roots), "").replace("CAMERA_GATE", "")
            if len(password) >= 4 and password not in (
                " is not set in the service's environment",
                " is empty or holds a control character",
            ):
                assert password not in told


def test_the_file_is_read_anew_each_time(roots: Path) -> None:
    (roots / "gate").write_text("first\r\n")
    both = reader(roots)
    assert both.read(f"file:{roots}/gate") == "first"
    (roots / "gate").write_text("second")
    assert both.read(f"file:{roots}/gate") == "second"


@pytest.mark.parametrize(
    "reference",
    [
        *("CAMERA_GATE", "env:", "env:HOME", "env:CAMERA-1", "env:CAMERA_\n", "env:nvr", "ENV:NVR"),
        *("file:", "file:gate", "file:/etc/passwd", "file://etc/passwd", "http://h/secret"),
        "file:" + "/x" * 600,
    ],
)
def test_what_the_configuration_does_not_allow_cannot_be_named(roots: Path, reference: str) -> None:
    assert reader(roots, HOME="/root").violations(reference)
    with pytest.raises(SecretUnreadable):
        reader(roots, HOME="/root").read(reference)


def test_nothing_can_be_named_unless_it_is_configured(roots: Path) -> None:
    for reference in ("env:CAMERA_GATE", f"file:{roots}/gate"):
        assert SecretReader().violations(reference)
        assert not reader(roots).violations(reference)


def test_a_way_out_of_the_folder_is_refused(roots: Path) -> None:
    (roots / "link").symlink_to("/etc/hostname")
    (roots / "inner").symlink_to(roots / "gate")
    (roots / "gate").write_text("hunter22")
    assert reader(roots).read(f"file:{roots}/inner") == "hunter22"
    assert reader(roots).violations(f"file:{roots}/../x")
    with pytest.raises(SecretUnreadable, match="a link out of"):
        reader(roots).read(f"file:{roots}/link")


def test_what_is_no_password_is_refused(roots: Path) -> None:
    os.mkfifo(roots / "fifo")
    (roots / "folder").mkdir()
    (roots / "binary").write_bytes(b"\xff\xfe\x00")
    (roots / "long").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    (roots / "empty").write_bytes(b"\n")
    for name in ("fifo", "folder", "binary", "long", "empty", "missing"):
        with pytest.raises(SecretUnreadable):
            reader(roots).read(f"file:{roots}/{name}")


def test_a_tenant_names_files_of_its_own_only(roots: Path) -> None:
    tenant = ("a-",)
    assert not reader(roots).violations(f"file:{roots}/a-gate", prefixes=tenant)
    assert reader(roots).violations(f"file:{roots}/b-gate", prefixes=tenant)
    assert reader(roots).violations("env:CAMERA_GATE", prefixes=tenant)
