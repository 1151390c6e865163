"""Questions to hosts that wait for their answers."""

import asyncio
import itertools
from typing import TypeVar

from vigil.errors import Busy, FieldViolation, InvalidRequest, NoFrame, Unavailable, UnreadableImage
from vigil.fleet.contract import Found, PictureResult
from vigil.ipc.messages import (
    FoundObject,
    PictureAnalysed,
    PictureClassified,
    SnapshotExplained,
    SnapshotTaken,
)

Answer = TypeVar("Answer")

ANSWER_TIMEOUT_S = 15.0
MOST_WAITING = 256  # questions at once; more are refused


class Requests:
    """Numbers questions and hands answers to those who asked."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._pictures: dict[int, asyncio.Future[PictureAnalysed]] = {}
        self._classified: dict[int, asyncio.Future[PictureClassified]] = {}
        self._snapshots: dict[int, asyncio.Future[tuple[SnapshotTaken, bytes]]] = {}
        self._explanations: dict[int, asyncio.Future[tuple[SnapshotExplained, bytes]]] = {}
        self._host_of: dict[int, str] = {}

    def ask_picture(self, host_id: str) -> tuple[int, asyncio.Future[PictureAnalysed]]:
        """A number for a picture's analysis, and the future of its answer. Raises Busy."""
        number = self._next(host_id)
        self._pictures[number] = asyncio.get_running_loop().create_future()
        return number, self._pictures[number]

    def ask_class(self, host_id: str) -> tuple[int, asyncio.Future[PictureClassified]]:
        """A number for a picture's classification, and the future of its answer. Raises Busy."""
        number = self._next(host_id)
        self._classified[number] = asyncio.get_running_loop().create_future()
        return number, self._classified[number]

    def ask_snapshot(self, host_id: str) -> tuple[int, asyncio.Future[tuple[SnapshotTaken, bytes]]]:
        """A number for a snapshot, and the future of its answer. Raises Busy."""
        number = self._next(host_id)
        self._snapshots[number] = asyncio.get_running_loop().create_future()
        return number, self._snapshots[number]

    def ask_explanation(
        self, host_id: str
    ) -> tuple[int, asyncio.Future[tuple[SnapshotExplained, bytes]]]:
        """A number for an explanation, and the future of its answer. Raises Busy."""
        number = self._next(host_id)
        self._explanations[number] = asyncio.get_running_loop().create_future()
        return number, self._explanations[number]

    def answer_explanation(self, answer: SnapshotExplained, jpeg: bytes) -> None:
        """A host answered."""
        future = self._explanations.get(answer.request_id)
        if future is not None and not future.done():
            future.set_result((answer, jpeg))

    def answer_picture(self, answer: PictureAnalysed) -> None:
        """A host answered."""
        future = self._pictures.get(answer.request_id)
        if future is not None and not future.done():
            future.set_result(answer)

    def answer_class(self, answer: PictureClassified) -> None:
        """A host answered."""
        future = self._classified.get(answer.request_id)
        if future is not None and not future.done():
            future.set_result(answer)

    def answer_snapshot(self, answer: SnapshotTaken, jpeg: bytes) -> None:
        """A host answered."""
        future = self._snapshots.get(answer.request_id)
        if future is not None and not future.done():
            future.set_result((answer, jpeg))

    async def answer(self, number: int, future: asyncio.Future[Answer]) -> Answer:
        """Wait for an answer. Raises Unavailable where none comes."""
        try:
            return await asyncio.wait_for(future, ANSWER_TIMEOUT_S)
        except TimeoutError:
            raise Unavailable(f"no answer in {ANSWER_TIMEOUT_S:g} s; try again") from None
        finally:
            self._forget(number)

    def _forget(self, number: int) -> None:
        self._pictures.pop(number, None)
        self._classified.pop(number, None)
        self._snapshots.pop(number, None)
        self._explanations.pop(number, None)
        self._host_of.pop(number, None)

    def host_ended(self, host_id: str) -> None:
        """The answers of this host will not come."""
        for number in [n for n, asked in self._host_of.items() if asked == host_id]:
            future = (
                self._pictures.get(number)
                or self._classified.get(number)
                or self._snapshots.get(number)
                or self._explanations.get(number)
            )
            if future is not None and not future.done():
                future.set_exception(
                    Unavailable("the process that had this picture ended; send it again")
                )

    def _next(self, host_id: str) -> int:
        if len(self._host_of) >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} pictures wait for their answers; send fewer at once")
        number = next(self._numbers)
        self._host_of[number] = host_id
        return number


def raise_refusal(answer: PictureAnalysed | PictureClassified) -> None:
    """Raise what the host's refusal means; nothing where it answered."""
    match answer.error_kind:
        case "unreadable":
            raise UnreadableImage(answer.error)
        case "invalid":
            field, _, description = answer.error.partition(": ")
            raise InvalidRequest([FieldViolation(field, description)])
        case "unavailable":
            raise Unavailable(answer.error)


def raise_no_snapshot(answer: SnapshotTaken) -> None:
    """Raise where the host had no picture to give."""
    if answer.error:
        raise NoFrame(answer.error)


def raise_not_explained(answer: SnapshotExplained) -> None:
    """Raise what the refusal of a host or the engine means; nothing where it answered."""
    match answer.error_kind:
        case "no_picture":
            raise NoFrame(answer.error)
        case "busy":
            raise Busy(answer.error)
        case "unavailable":
            raise Unavailable(answer.error)


def found_of(objects: tuple[FoundObject, ...], classes: tuple[str, ...]) -> tuple[Found, ...]:
    """A host's objects with their classes' names."""
    return tuple(
        Found(
            xyxy=each.xyxy,
            score=each.score,
            class_name=classes[each.class_id],
            track_id=each.track_id,
        )
        for each in objects
    )


def picture_result(
    answer: PictureAnalysed, *, classes: tuple[str, ...], model: str
) -> PictureResult:
    """A host's answer as the API shows it."""
    return PictureResult(
        width_px=answer.width_px,
        height_px=answer.height_px,
        found=found_of(answer.found, classes),
        model=model,
        infer_s=answer.infer_s,
    )
