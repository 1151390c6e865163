"""Asking the judge of golden clips, a process that lives for one question."""

import asyncio
import sys
from pathlib import Path

import msgspec
import structlog

from vigil.errors import Unavailable
from vigil.fleet.golden import GoldenClip, PlayedClip

log = structlog.get_logger()

MODULE = "vigil.accuracy"
TIMEOUT_S = 900.0  # rendering the built-in clips takes a quarter of a minute of an idle core


class JudgeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which clips there are (``played`` is empty), or what they come to."""

    folder: str  # of the site's own clips; empty: the built-in ones
    built_in: str  # where the built-in ones are kept
    played: tuple[PlayedClip, ...] = ()


class JudgeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The clips, and figures as (metric, class, value) where some were played."""

    clips: tuple[GoldenClip, ...] = ()
    figures: tuple[tuple[str, str, float], ...] = ()
    error: str = ""


class NoJudgement(Unavailable):
    """The judge gave no answer, or said why it cannot."""


class Judge:
    """Knows the clips and their labels. ``state`` is the service's folder."""

    def __init__(self, *, folder: str, state: Path) -> None:
        self._folder = folder
        self._built_in = str(state / "golden")

    async def clips(self) -> tuple[GoldenClip, ...]:
        """The clips of a round, rendered now where they are not there yet. Raises NoJudgement."""
        return (await self._ask(())).clips

    async def figures(self, played: tuple[PlayedClip, ...]) -> tuple[tuple[str, str, float], ...]:
        """What a round's clips come to: metric, class, value. Raises NoJudgement."""
        return (await self._ask(played)).figures

    async def _ask(self, played: tuple[PlayedClip, ...]) -> JudgeAnswer:
        request = JudgeRequest(folder=self._folder, built_in=self._built_in, played=played)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise NoJudgement(f"the judge cannot be started: {error.strerror}") from error
        try:
            async with asyncio.timeout(TIMEOUT_S):
                said, _ = await process.communicate(msgspec.json.encode(request))
        except TimeoutError:
            raise NoJudgement(f"the judge did not answer in {TIMEOUT_S:g} s") from None
        finally:
            if process.returncode is None:  # a stop, or no answer: nobody waits for it any more
                process.kill()
                await process.wait()
        try:
            answer = msgspec.json.decode(said, type=JudgeAnswer)
        except msgspec.DecodeError:
            raise NoJudgement(
                f"the judge ended with status {process.returncode}; its log says why"
            ) from None
        if answer.error:
            raise NoJudgement(answer.error)
        return answer
