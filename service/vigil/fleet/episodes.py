"""What lasts at present, by stream: faults of the camera, things left and taken."""

from collections import defaultdict
from collections.abc import Iterable

from vigil.data import Event, Phase
from vigil.spec import CameraCheck, CameraHealthRule, StationaryRule, StreamSpec

_OF_CAMERAS = tuple(f"camera.{check.value}" for check in CameraCheck)
_OF_THINGS = ("object.left", "object.removed")
WATCHED = frozenset((*_OF_CAMERAS, *_OF_THINGS))
MOST = 1000  # of a type and stream; further ones are not counted


class OpenEpisodes:
    """Follows the events of hosts: an episode is open from its `new` to its `end`, or its run's."""

    def __init__(self) -> None:
        self._open: defaultdict[str, dict[str, set[str]]] = defaultdict(dict)  # stream, type: ids

    def note(self, events: Iterable[Event]) -> None:
        """Take a stream's next events."""
        for event in events:
            if event.type not in WATCHED:
                continue
            of_type = self._open[event.stream_id].setdefault(event.type, set())
            if event.phase is Phase.END:
                of_type.discard(event.episode_id)
            elif len(of_type) < MOST:
                of_type.add(event.episode_id)

    def forget(self, stream_id: str) -> None:
        """The stream begins a new run, which knows nothing of the last one, or it is gone."""
        self._open.pop(stream_id, None)

    def counts(self, spec: StreamSpec) -> dict[str, int]:
        """How many are open, of each type that the stream's rules publish."""
        held = self._open.get(spec.stream_id, {})
        return {kind: len(held.get(kind, ())) for kind in _published(spec)}


def _published(spec: StreamSpec) -> list[str]:
    kinds: list[str] = []
    for rule in spec.rules:
        if isinstance(rule, CameraHealthRule):
            kinds += [f"camera.{check.value}" for check in rule.checks or CameraCheck]
        elif isinstance(rule, StationaryRule):
            kinds += _OF_THINGS
    return kinds
