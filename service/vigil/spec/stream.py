"""A stream as a client defines it: where its pictures come from, and the rules that watch it.

Pure values. `violations` says which fields cannot be accepted; nothing here opens or resolves
anything. Geometry is normalised: x and y in [0, 1], origin at the picture's top left.
"""

import math
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from vigil.errors import FieldViolation
from vigil.spec.checks import (
    ID_PATTERN,
    MAX_NAME_LENGTH,
    check_classes,
    check_polygon,
    check_score,
)
from vigil.spec.rule_checks import rule_violations
from vigil.spec.rules import CameraHealthRule, ObjectRule, Point, Rule, Voted, classes_of

MAX_RULES = 64
MAX_LABELS = 32
MAX_LABEL_LENGTH = 1024
MAX_DETECT_FPS = 60.0
DEFAULT_MOTION_GAP_S = 2.0
MAX_MOTION_GAP_S = 60.0
MAX_SECOND_STAGES = 4


class Pace(StrEnum):
    """How fast a file is played. Live sources play at their own pace whatever this says."""

    REAL_TIME = "real_time"  # by its own timestamps, as a camera would
    FAST = "fast"  # as fast as it is analysed; no frame that is due is dropped
    # real time, but each frame waits for the result of the one before: golden clips, none of a client's
    WAITED = "waited"


class CaptureBackend(StrEnum):
    """Which library opens and decodes the source."""

    OPENCV = "opencv"
    PYAV = "pyav"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the pictures of a stream come from.

    ``uri`` is rtsp://, rtsps://, http://, https://, file:///…, folder:///… (pictures in name order) or
    push: (a client sends the frames by AnalyzeFrames). It holds no credentials: those are apart, and
    never returned by any call. ``secret_ref`` (env:NAME, file:/path) stands for a password that the service
    reads whenever the source is opened.
    """

    uri: str
    username: str = ""
    password: str = ""
    secret_ref: str = ""
    pace: Pace = Pace.REAL_TIME
    loop: bool = False
    folder_fps: float = 5.0  # the rate that an image folder is played at
    backend: CaptureBackend = CaptureBackend.OPENCV

    @property
    def pushed(self) -> bool:
        """Whether a client sends the frames, rather than that they are fetched."""
        return self.uri.startswith("push:")


class SecondStage(msgspec.Struct, frozen=True, kw_only=True):
    """A classifier for the crops of a stream's confirmed tracks."""

    classifier: str  # its name among the models, and of its results in events' attributes
    classes: tuple[str, ...] = ()  # tracks of these classes; empty: all


class MotionGate(msgspec.Struct, frozen=True, kw_only=True):
    """When a still scene needs no inference: never longer without it than ``max_gap_s``."""

    enabled: bool = False
    max_gap_s: float = DEFAULT_MOTION_GAP_S


class EventSnapshots(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are kept with the picture that they were found in: the first of each episode."""

    enabled: bool = False
    rule_ids: tuple[str, ...] = ()  # empty: those of all rules, and of camera checks

    def wants(self, rule_id: str | None) -> bool:
        """Whether the events of a rule, or of camera checks (None), are to have a picture."""
        return self.enabled and (not self.rule_ids or rule_id in self.rule_ids)


class StreamSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One camera's definition, as the client gave it."""

    stream_id: str
    source: Source
    enabled: bool = True
    detect_fps: float = 5.0
    priority: int = 1  # weight under overload: 1 to 10, more is served first
    model: str = ""  # empty: the service's model
    classes: tuple[str, ...] = ()  # empty: all that the model knows
    min_score: float = 0.0  # 0: the model's own operating thresholds
    rules: tuple[Rule, ...] = ()
    privacy_masks: tuple[tuple[Point, ...], ...] = ()
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    second_stages: tuple[SecondStage, ...] = ()
    motion_gate: MotionGate = MotionGate()
    event_snapshots: EventSnapshots = EventSnapshots()

    @property
    def all_second_stages(self) -> tuple[SecondStage, ...]:
        """Its second stages, and those of classifiers that only its rules name, for the rules' classes."""
        given = {stage.classifier for stage in self.second_stages}
        about: dict[str, list[tuple[str, ...]]] = {}
        for _, rule, voted in votes_of(self.rules):
            if voted.classifier not in given:
                about.setdefault(voted.classifier, []).append(classes_of(rule))
        return (
            *self.second_stages,
            *(
                SecondStage(
                    classifier=name,
                    classes=tuple(sorted(set().union(*lists))) if all(lists) else (),
                )
                for name, lists in about.items()
            ),
        )


def violations(spec: StreamSpec) -> list[FieldViolation]:
    """Every field of a stream's definition that cannot be accepted; empty if none.

    Paths are those of the message vigil.v1.StreamSpec, which is what a client has written.

    Checks what the definition itself shows. Whether a host or a path is allowed is `vigil.fleet`'s
    policy, and whether the source opens is a stream state.
    """
    return list(_violations(spec))


def _violations(spec: StreamSpec) -> Iterator[FieldViolation]:
    if not ID_PATTERN.fullmatch(spec.stream_id):
        yield FieldViolation(
            "stream_id", "use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit"
        )
    yield from _rate("detect_fps", spec.detect_fps)
    yield from _rate("source.folder_fps", spec.source.folder_fps)
    if not 1 <= spec.priority <= 10:
        yield FieldViolation("priority", "must be from 1 to 10")
    yield from check_score("min_score", spec.min_score)
    if spec.model and not ID_PATTERN.fullmatch(spec.model):
        yield FieldViolation("model", "is no model's name; see `vigil models list`")
    yield from check_classes("classes", spec.classes)
    if not 0 < spec.motion_gate.max_gap_s <= MAX_MOTION_GAP_S:
        yield FieldViolation(
            "motion_gate.max_gap", f"must be above 0 and at most {MAX_MOTION_GAP_S:g} s"
        )
    yield from _labels(spec.labels)
    for index, mask in enumerate(spec.privacy_masks):
        yield from check_polygon(f"privacy_masks[{index}].points", mask)
    yield from _second_stages(spec)
    yield from _rules(spec)
    yield from _event_snapshots(spec)


def _rules(spec: StreamSpec) -> Iterator[FieldViolation]:
    if len(spec.rules) > MAX_RULES:
        yield FieldViolation("rules", f"at most {MAX_RULES} rules a stream")
    checks = [rule for rule in spec.rules if isinstance(rule, CameraHealthRule)]
    if len(checks) > 1:  # their events would be the same ones
        yield FieldViolation(
            "rules", "at most one camera_health rule a stream; name all its checks"
        )
    seen: set[str] = set()
    for index, rule in enumerate(spec.rules):
        field = f"rules[{index}]"
        if rule.rule_id in seen:
            yield FieldViolation(
                f"{field}.rule_id", f"{rule.rule_id!r} is used twice in this stream"
            )
        seen.add(rule.rule_id)
        yield from rule_violations(field, rule)


def _event_snapshots(spec: StreamSpec) -> Iterator[FieldViolation]:
    known = {rule.rule_id for rule in spec.rules}
    named = spec.event_snapshots.rule_ids
    if len(named) > MAX_RULES:
        yield FieldViolation("event_snapshots.rule_ids", f"at most {MAX_RULES} rules a stream")
        return
    for index, rule_id in enumerate(named):
        if rule_id not in known:
            yield FieldViolation(
                f"event_snapshots.rule_ids[{index}]", f"{rule_id!r} is no rule of this stream"
            )


def _second_stages(spec: StreamSpec) -> Iterator[FieldViolation]:
    if len(spec.all_second_stages) > MAX_SECOND_STAGES:
        yield FieldViolation(
            "second_stages" if len(spec.second_stages) > MAX_SECOND_STAGES else "rules",
            f"at most {MAX_SECOND_STAGES} second stages a stream, with those that rules name",
        )
    seen: set[str] = set()
    for index, stage in enumerate(spec.second_stages):
        field = f"second_stages[{index}]"
        if not ID_PATTERN.fullmatch(stage.classifier):
            yield FieldViolation(
                f"{field}.classifier", "is no model's name; see `vigil models list`"
            )
        if stage.classifier in seen:
            yield FieldViolation(
                f"{field}.classifier", f"{stage.classifier!r} is used twice in this stream"
            )
        seen.add(stage.classifier)
        yield from check_classes(f"{field}.classes", stage.classes)
    limited = {
        stage.classifier: set(stage.classes) for stage in spec.second_stages if stage.classes
    }
    for field, rule, voted in votes_of(spec.rules):
        of_stage, of_rule = limited.get(voted.classifier), set(classes_of(rule))
        if of_stage and of_rule and not of_stage & of_rule:
            yield FieldViolation(
                f"{field}.classifier",
                f"the stream's second stage {voted.classifier} is not asked about "
                f"{', '.join(sorted(of_rule))}; name these classes in second_stages, too",
            )


def votes_of(rules: tuple[Rule, ...]) -> Iterator[tuple[str, ObjectRule, Voted]]:
    """What rules want of second stages, with its field's path."""
    for index, rule in enumerate(rules):
        if isinstance(rule, ObjectRule):
            for number, voted in enumerate(rule.voted):
                yield f"rules[{index}].voted[{number}]", rule, voted


def _labels(labels: dict[str, str]) -> Iterator[FieldViolation]:
    if len(labels) > MAX_LABELS:
        yield FieldViolation("labels", f"at most {MAX_LABELS} labels a stream")
    for key, value in labels.items():
        if not 0 < len(key) <= MAX_NAME_LENGTH or len(value) > MAX_LABEL_LENGTH:
            yield FieldViolation(
                "labels",
                f"keys are 1 to {MAX_NAME_LENGTH} characters, values at most {MAX_LABEL_LENGTH}",
            )


def _rate(field: str, value: float) -> Iterator[FieldViolation]:
    if not (math.isfinite(value) and 0 < value <= MAX_DETECT_FPS):
        yield FieldViolation(field, f"must be above 0 and at most {MAX_DETECT_FPS:g}")
