"""The service's judge of golden clips: one request on stdin, one answer on stdout, then it ends.

A process of its own, because the service loads neither OpenCV nor evaluators; it yields to everybody.
"""

import os
import sys
from pathlib import Path

import msgspec

from vigil.accuracy.golden import figures_of
from vigil.accuracy.golden_clips import built_in_clips, clips_in, truth_of
from vigil.errors import VigilError
from vigil.fleet.golden_judge import JudgeAnswer, JudgeRequest

LEAST_NICE = 19


def answer(request: JudgeRequest) -> JudgeAnswer:
    """The clips of a round, and, where they were played, what they come to."""
    try:
        own = request.folder
        clips = clips_in(Path(own)) if own else built_in_clips(Path(request.built_in))
        if not request.played:
            return JudgeAnswer(clips=tuple(clips))
        by_name = {clip.name: clip for clip in clips}
        pairs = [(truth_of(by_name[played.name]), played) for played in request.played]
        figures = [(f.metric, f.class_name, f.value) for f in figures_of(pairs)]
        return JudgeAnswer(clips=tuple(clips), figures=tuple(figures))
    except VigilError as error:
        return JudgeAnswer(error=str(error))


def main() -> int:
    """Read, judge, write."""
    os.nice(LEAST_NICE)
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=JudgeRequest)
    sys.stdout.buffer.write(msgspec.json.encode(answer(request)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
