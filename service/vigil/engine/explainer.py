"""Explanations beside the engine's loop: a thread with float32 nets of its own, made when somebody asks.

Batches go on meanwhile: torch computes without the interpreter's lock, so an explanation costs them a core
for some tens of milliseconds.
"""

import os
import queue
import threading
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import structlog

from vigil.data import U8
from vigil.errors import VigilError
from vigil.ipc.messages import ExplainDone, ExplainReady, ExplainRefusal
from vigil.vision.explain import ClassifierExplainer, DetectorExplainer
from vigil.vision.manifest import Manifest

log = structlog.get_logger()

MOST_WAITING = 4  # questions; more are refused
IDLE_S = 60.0  # after so long without a question the nets are let go


class Question(NamedTuple):
    """A picture that a host wants explained."""

    host_id: str
    asked: ExplainReady
    pixels: bytes


class Explainer:
    """Answers questions on a thread that the first of them starts; `wake` is readable once there are some."""

    def __init__(self, detector: Manifest, classifiers: Mapping[str, Manifest]) -> None:
        self._detector = detector
        self._classifiers = classifiers
        self._finder: DetectorExplainer | None = None
        self._sorters: dict[str, ClassifierExplainer] = {}
        self._questions: queue.Queue[Question] = queue.Queue(MOST_WAITING)
        self._answers: queue.SimpleQueue[tuple[str, ExplainDone]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ask(self, question: Question) -> None:
        """Take a question; where too many wait, the answer is that."""
        try:
            self._questions.put_nowait(question)
        except queue.Full:
            busy = f"{MOST_WAITING} explanations wait already; ask again in a second"
            self._answer(question, refusal(question.asked, "busy", busy))
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="explainer", daemon=True)
            self._thread.start()

    def answers(self) -> list[tuple[str, ExplainDone]]:
        """Host and answer of what is done; called when `wake` is readable."""
        os.eventfd_read(self.wake)
        found = []
        while not self._answers.empty():
            found.append(self._answers.get())
        return found

    def _run(self) -> None:
        while True:
            try:
                question = self._questions.get(timeout=IDLE_S)
            except queue.Empty:
                self._finder = None
                self._sorters.clear()
                continue
            self._answer(question, self._explained(question))

    def _explained(self, question: Question) -> ExplainDone:
        try:
            return self._heat(question.asked, question.pixels)
        except VigilError as error:
            return refusal(question.asked, "unavailable", str(error))
        except Exception:  # the thread is there for all that ask
            log.exception("explanation_failed")
            return refusal(question.asked, "unavailable", "explaining failed; see the log")

    def _heat(self, asked: ExplainReady, pixels: bytes) -> ExplainDone:
        manifest = self._classifiers[asked.classifier] if asked.classifier else self._detector
        height, width = manifest.input_hw
        picture: U8 = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        wanted = manifest.classes.index(asked.class_name) if asked.class_name else None
        if asked.classifier:
            if manifest.name not in self._sorters:
                self._sorters[manifest.name] = ClassifierExplainer(manifest)
            heat = self._sorters[manifest.name].explain(picture, class_id=wanted)
        else:
            if self._finder is None:
                self._finder = DetectorExplainer(manifest)
            heat = self._finder.explain(picture, class_id=wanted, xyxy_px=asked.xyxy_px)
        return ExplainDone(
            request_id=asked.request_id,
            height=heat.map.shape[0],
            width=heat.map.shape[1],
            heat=heat.map.tobytes(),
            class_name=manifest.classes[heat.class_id],
            score=heat.score,
        )

    def _answer(self, question: Question, done: ExplainDone) -> None:
        self._answers.put((question.host_id, done))
        os.eventfd_write(self.wake, 1)


def refusal(asked: ExplainReady, kind: ExplainRefusal, detail: str) -> ExplainDone:
    """The answer that says why there is none."""
    return ExplainDone(request_id=asked.request_id, error=detail, error_kind=kind)
