import time
from pathlib import Path

import pytest

from vigil.errors import InvalidConfig, TokenExists, UnknownToken
from vigil.store.tokens import FILE_NAME, Role, TokenFile


def test_a_token_is_found_by_its_secret_which_is_kept_nowhere(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    assert not tokens.required
    secret = tokens.add("wall", role=Role.VIEWER, prefixes=("a-",))
    found = TokenFile(tmp_path).find(secret)
    assert found is not None
    assert (found.name, found.role, found.prefixes) == ("wall", Role.VIEWER, ("a-",))
    assert tokens.find(f"{secret}x") is None
    assert tokens.find("") is None
    written = (tmp_path / FILE_NAME).read_text()
    assert secret not in written
    assert found.sha256 in written
    assert tokens.find(found.sha256) is None, "a stolen hash is no token"
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_a_running_service_sees_a_token_come_and_go(tmp_path: Path) -> None:
    serving, command = TokenFile(tmp_path), TokenFile(tmp_path)
    secret = command.add("wall", role=Role.ADMIN, prefixes=())
    assert serving.find(secret)
    command.revoke("wall")
    assert serving.find(secret) is None
    assert serving.required, "nobody gets in when the last token is gone"


def test_names_are_used_once_and_known(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    tokens.add("wall", role=Role.VIEWER, prefixes=())
    with pytest.raises(TokenExists):
        tokens.add("wall", role=Role.ADMIN, prefixes=())
    with pytest.raises(UnknownToken):
        tokens.revoke("door")
    for wrong in ("", "A", "a b", "../x"):
        with pytest.raises(InvalidConfig):
            tokens.add(wrong, role=Role.VIEWER, prefixes=())
    with pytest.raises(InvalidConfig):
        tokens.add("door", role=Role.VIEWER, prefixes=("",))


def test_a_token_ends_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, now_s = TokenFile(tmp_path), time.time()
    secret = tokens.add("guest", role=Role.VIEWER, prefixes=(), lasts_s=60)
    assert tokens.find(secret)
    monkeypatch.setattr(time, "time", lambda: now_s + 61)
    assert tokens.find(secret) is None
    assert TokenFile(tmp_path).all()[0].expired


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    secret = tokens.add("wall", role=Role.VIEWER, prefixes=())
    (tmp_path / FILE_NAME).write_text("[{")
    assert tokens.find(secret) is None
    with pytest.raises(InvalidConfig):
        tokens.all()


def test_roles_include_those_before_them() -> None:
    ranks = [[one.includes(other) for other in Role] for one in Role]
    assert ranks == [[True, False, False], [True, True, False], [True, True, True]]
