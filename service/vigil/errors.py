"""Every error that vigil raises on purpose.

Each class names the gRPC status that the API answers with, and each message says what to do.
"""


class VigilError(Exception):
    """Something that a caller can act on; the message says how."""

    code = "INTERNAL"


class FieldViolation(VigilError):
    """One field of a request that cannot be accepted; ``field`` is its path in the request."""

    code = "INVALID_ARGUMENT"

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class InvalidRequest(VigilError):
    """A request with one or more fields that cannot be accepted."""

    code = "INVALID_ARGUMENT"

    def __init__(self, violations: list[FieldViolation]) -> None:
        super().__init__("; ".join(str(violation) for violation in violations))
        self.violations = tuple(violations)


class InvalidConfig(VigilError):
    """The configuration cannot be used."""

    code = "FAILED_PRECONDITION"


class NotServedYet(VigilError):
    """A part of the contract that this version does not serve."""

    code = "UNIMPLEMENTED"


class UnknownStream(VigilError):
    """No stream of that id is registered."""

    code = "NOT_FOUND"


class StreamExists(VigilError):
    """A stream of that id is registered with another definition."""

    code = "ALREADY_EXISTS"


class StaleGeneration(VigilError):
    """The stream was changed since the caller read it."""

    code = "ABORTED"


class UnknownBaseline(VigilError):
    """No such rule of the stream has a learnt limit."""

    code = "NOT_FOUND"


class UnknownModel(VigilError):
    """No model of that name is installed."""

    code = "NOT_FOUND"


class DamagedModel(VigilError):
    """A model's files do not match its manifest."""

    code = "FAILED_PRECONDITION"


class UnreadableImage(VigilError):
    """Bytes that do not decode to a picture."""

    code = "INVALID_ARGUMENT"


class NoFrame(VigilError):
    """The stream has no picture to give at present."""

    code = "FAILED_PRECONDITION"


class NotKept(VigilError):
    """Pictures of events are asked for, and the service keeps none."""

    code = "FAILED_PRECONDITION"


class UnknownSnapshot(VigilError):
    """An event has no picture, or it is no longer kept."""

    code = "NOT_FOUND"


class Busy(VigilError):
    """More is asked for than can be done at once; try again later."""

    code = "RESOURCE_EXHAUSTED"


class Unavailable(VigilError):
    """A part of the service is starting, restarting or stopping; try again."""

    code = "UNAVAILABLE"


class CursorExpired(VigilError):
    """Events before this cursor are no longer kept."""

    code = "OUT_OF_RANGE"


class Unauthenticated(VigilError):
    """A call without a token that is known."""

    code = "UNAUTHENTICATED"


class Forbidden(VigilError):
    """A token that is not for this call, or not for this stream."""

    code = "PERMISSION_DENIED"


class TokenExists(VigilError):
    """A token of that name exists."""

    code = "ALREADY_EXISTS"


class UnknownToken(VigilError):
    """No token has that name."""

    code = "NOT_FOUND"
