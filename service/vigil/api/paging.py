"""Pages: how long they are, and the tokens that continue them."""

import base64
import binascii

from vigil.errors import FieldViolation, InvalidRequest

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


def page_size(asked: int) -> int:
    """The length of a page; more than the most is cut to it, as AIP-158 has it."""
    return min(asked, MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE


def write_token(last: str) -> str:
    """A token for the page after the item of that key."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def read_token(token: str) -> str:
    """The key that `write_token` was given; "" for no token. Raises InvalidRequest."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            [FieldViolation("page_token", "is not a next_page_token of an earlier page")]
        ) from None
