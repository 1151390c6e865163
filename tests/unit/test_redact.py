"""Secrets in texts, in every spelling that a hostile password can take."""

import base64
import json
import subprocess
import sys
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigil.api.secrets import shown_uri, split_user
from vigil.fleet.policy import SourcePolicy
from vigil.host.route import ffmpeg_address
from vigil.redact import Redactor
from vigil.spec import Source

CANARY = "c@n/ary:%41 ß✓?#\\\"'Kanarie"
PASSWORDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("@/%: ?#&\\\"'ß"), max_size=64
)
SECRETS = PASSWORDS.filter(lambda text: len(text) >= 4 and "*" not in text)


def spellings(secret: str) -> list[str]:
    return [
        secret,
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(f"operator:{secret}".encode()).decode(),
    ]


@given(SECRETS, st.sampled_from(["", "before ", "rtsp://operator:", "{'password': '"]))
@example(CANARY, "rtsp://operator:")
def test_a_remembered_secret_is_blanked_in_every_spelling(secret: str, before: str) -> None:
    redactor = Redactor()
    redactor.remember(secret, user="operator")
    for spelling in spellings(secret):
        assert spelling not in redactor.text(f"{before}{spelling} after")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("open rtsp://u:p@h:554/live failed", "open rtsp://***@h:554/live failed"),
        ("rtsp://u:p/@@x:y@h/live", "rtsp://***@h/live"),
        ("http://h/x?user=a&password=hunter2&b=1", "http://h/x?user=a&password=***&b=1"),
        ("rtsp://h/user=admin_password=x_1?y", "rtsp://h/user=admin_password=***?y"),
        ('{"token": "abc", "port": 1}', '{"token": "***", "port": 1}'),
        ("Authorization: Basic dTpw\r\nHost: h", "Authorization: ***\r\nHost: h"),
        ('authorization: Digest username="u", response="1"', "authorization: ***"),
        ("spec.source.credentials.password: must be short", None),
        ("check its user and password", None),
        ("rtsp://h:554/live is not reachable", None),
    ],
)
def test_secrets_are_found_by_their_place(text: str, shown: str | None) -> None:
    assert Redactor().text(text) == (text if shown is None else shown)


def test_containers_and_objects_are_blanked_throughout() -> None:
    redactor = Redactor()
    redactor.remember(CANARY)

    class Holds:
        def __repr__(self) -> str:
            return f"Holds({CANARY!r})"

    event: dict[str, Any] = {
        "event": f"failed {CANARY}",
        "nested": [{"frames": (CANARY, 7)}, {CANARY: None}],
        "object": Holds(),
        "count": 3,
    }
    shown = str(redactor(None, "error", event))
    assert CANARY not in shown
    assert "Kanarie" not in shown
    assert "'count': 3" in shown


def test_words_are_not_blanked_for_a_short_password() -> None:
    redactor = Redactor()
    redactor.remember("is")
    assert redactor.text("this is a list") == "this is a list"


@given(st.text(max_size=8), SECRETS)
def test_redacting_twice_changes_nothing_more(before: str, secret: str) -> None:
    redactor = Redactor()
    redactor.remember(secret)
    once = redactor.text(f"{before} {secret}")
    if secret not in once:
        assert redactor.text(once) == once


@given(PASSWORDS, PASSWORDS.filter(bool))
@example(CANARY, "user@site")
def test_credentials_in_a_url_survive_the_way_to_ffmpeg(password: str, username: str) -> None:
    given_uri = (
        f"rtsp://{quote(username, safe='')}:{quote(password, safe='')}@camera.example/live?a=b"
    )
    uri, user, secret = split_user(given_uri)
    assert (uri, user, secret) == ("rtsp://camera.example/live?a=b", username, password)
    address = urlsplit(ffmpeg_address(Source(uri=uri, username=user, password=secret)))
    assert (address.hostname, address.path, address.query) == ("camera.example", "/live", "a=b")
    assert split_user(address.geturl())[1:] == (username, password)


@given(st.text(st.sampled_from("ab@/:%?# &=ß"), max_size=20))
def test_an_unescaped_password_is_never_kept_in_a_taken_address(password: str) -> None:
    uri, _, _ = split_user(f"rtsp://operator:secret{password}@camera.example/live")
    if not SourcePolicy().violations(Source(uri=uri)):
        assert "secret" not in shown_uri(uri)


CRASH = """
from vigil.ipc.child import become_child
from vigil.redact import REDACTOR
import logging, sys, threading
become_child("host")
REDACTOR.remember(sys.stdin.read())
def fail():
    raise OSError("cannot open rtsp://u:" + next(iter(REDACTOR._spellings)).partition("\\0")[2])
logging.getLogger("library").error("said %s", "rtsp://u:pw/x@h/live")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


def test_crashes_and_libraries_log_through_the_redactor() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH], input=CANARY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    for event in ("library", "thread_crashed", "crashed"):
        assert event in done.stderr
    assert "OSError" in done.stderr
    assert "Kanarie" not in done.stdout + done.stderr
    assert "pw/x" not in done.stderr
