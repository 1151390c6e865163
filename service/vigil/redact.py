"""What keeps secrets out of what people read: logs, crash output, errors, details of states.

Two nets. A secret that this process was told of (`Redactor.remember`) is blanked wherever it turns up, in
each spelling that URLs, JSON, reprs and Basic logins give it. What was not told of is found by its place:
before the @ of a URL, behind ``password=``, in an Authorization header.
"""

import base64
import json
import re
import threading
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote, quote_plus

BLANK = "***"
MOST_SECRETS = 20_000  # the oldest are forgotten
SHORTEST = 4  # characters; blanking less would blank ordinary words

# Up to the last @ of the word: a password may hold / or @ that nobody escaped.
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s\"'<>]*@")
_VALUE = re.compile(
    r"((?:pass(?:word|wd)?|pwd|psw|secret|token|api_?key|sig(?:nature)?)"
    r"(?:[\"']?\s*=\s*|[\"']\s*:\s*)[\"']?)"  # a colon in prose is no assignment
    r"(?!\*\*\*)[^\s&;,/?#\"'}\])]+",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"((?:proxy-)?authorization\"?'?\s*[:=]\s*[\"']?)(?:(?:basic|bearer)\s+\S+|digest[^\r\n]*)",
    re.IGNORECASE,
)


class Redactor:
    """Blanks secrets in texts. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spellings: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def remember(self, secret: str, *, user: str = "") -> None:
        """Blank this from now on."""
        if len(secret) < SHORTEST:
            return
        with self._lock:
            self._spellings[f"{user}\0{secret}"] = _spellings(secret, user)
            while len(self._spellings) > MOST_SECRETS:
                self._spellings.popitem(last=False)

    def text(self, text: str) -> str:
        """The text without secrets."""
        with self._lock:
            known = list(self._spellings.values())
        for spellings in known:
            for spelling in spellings:
                if spelling in text:
                    text = text.replace(spelling, BLANK)
        text = _USER.sub(rf"\1{BLANK}@", text)
        text = _HEADER.sub(rf"\1{BLANK}", text)
        return _VALUE.sub(rf"\1{BLANK}", text)

    def value(self, value: Any) -> Any:
        """A value of a log line without secrets; what is neither plain nor a container becomes text."""
        if isinstance(value, bool | int | float | None):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(key): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(each) for each in value]
        return self.text(str(value))

    def __call__(
        self, logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """As a structlog processor: the last one before the renderer."""
        return {key: self.value(value) for key, value in event.items()}


def _spellings(secret: str, user: str) -> tuple[str, ...]:
    """A secret as it is written in URLs, JSON, reprs, ASCII trailers and Basic logins; longest first."""
    pair = f"{user}:{secret}".encode()
    plain = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        secret.encode("ascii", "backslashreplace").decode("ascii"),
        base64.b64encode(pair).decode(),
        base64.b64encode(secret.encode()).decode(),
    }
    return tuple(sorted(plain, key=len, reverse=True))


REDACTOR = Redactor()  # of this process: what any part of it is told of, no log line shows
