"""Errors as statuses: a code, what to do about it, and which fields are wrong."""

from google.protobuf.any_pb2 import Any
from google.rpc import code_pb2, error_details_pb2, status_pb2

from vigil.errors import FieldViolation, InvalidRequest, VigilError
from vigil.redact import REDACTOR

# A status travels in HTTP/2 trailers, and clients refuse more than 8 KiB of them by default. Details are
# there twice, once percent-encoded.
MAX_VIOLATIONS = 10
MAX_TEXT_LENGTH = 160
MAX_MESSAGE_LENGTH = 600


def status_of(error: VigilError) -> status_pb2.Status:
    """The status that answers a call which raised ``error``: google.rpc.BadRequest for wrong fields."""
    status = status_pb2.Status(
        code=code_pb2.Code.Value(error.code), message=_shortened(str(error), MAX_MESSAGE_LENGTH)
    )
    violations = _violations(error)
    if violations:
        packed = Any()
        packed.Pack(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=_shortened(violation.field, MAX_TEXT_LENGTH),
                        description=_shortened(violation.description, MAX_TEXT_LENGTH),
                    )
                    for violation in violations[:MAX_VIOLATIONS]
                ]
            )
        )
        status.details.append(packed)
    return status


def within(field: str, error: InvalidRequest) -> InvalidRequest:
    """The same refusal with each path beginning at the request's own field."""
    return InvalidRequest(
        [
            FieldViolation(f"{field}.{violation.field}", violation.description)
            for violation in error.violations
        ]
    )


def _violations(error: VigilError) -> tuple[FieldViolation, ...]:
    if isinstance(error, FieldViolation):
        return (error,)
    if isinstance(error, InvalidRequest):
        return error.violations
    return ()


def _shortened(text: str, length: int) -> str:
    """At most ``length`` characters, in printable ASCII: a trailer has no other."""
    plain = REDACTOR.text(text).encode("ascii", "backslashreplace").decode("ascii")
    plain = "".join(character if character.isprintable() else " " for character in plain)
    return plain if len(plain) <= length else f"{plain[: length - 3]}..."
