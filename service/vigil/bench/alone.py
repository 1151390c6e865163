"""What the parts cost with nothing beside them: the bound that density is compared with.

Decoding is measured in processes of as many readers as a host has, live-paced, at the number of streams
that is compared; conversion and resizing on the same frames; inference in a process of its own.
"""

import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vigil.bench.processes import proportional_mib
from vigil.bench.profile import Profile
from vigil.host.capture import Capture, CaptureLimits, configure_process, open_capture
from vigil.logs import configure_logs
from vigil.spec import Source
from vigil.vision.letterbox import Letterbox
from vigil.vision.manifest import load_manifest

STREAMS_A_PROCESS = 8
BATCH = 8
_START_S = 2.0  # for processes to start, and so long again for every 40 streams to open
_CONVERSIONS = 40
_BATCHES = 25
_LIMITS = CaptureLimits(open_timeout_s=30.0, read_timeout_s=30.0)


@dataclass(frozen=True, slots=True)
class Alone:
    """Milliseconds of processor time a frame, each part by itself, and memory of the decoders."""

    streams: int
    decode_ms: float
    convert_ms: float
    resize_ms: float
    infer_ms: float  # net and postprocessing, batches of 8
    precision: str
    decoder_mib: float  # a stream

    def stream_ms(self, profile: Profile) -> float:
        """Milliseconds of processor time for each second of a stream: the bound's denominator."""
        analysed = self.convert_ms + self.resize_ms + self.infer_ms
        return profile.fps * self.decode_ms + profile.detect_fps * analysed

    def bound(self, profile: Profile, *, cores: int) -> float:
        """How many streams the cores could hold, were nothing else to do."""
        return cores * 1000 / self.stream_ms(profile)


@dataclass(frozen=True, slots=True)
class _Decoded:
    frames: int
    cpu_s: float
    convert_ms: float
    resize_ms: float
    decoder_mib: float


def measure_alone(
    profile: Profile, clip: Path, *, streams: int, seconds: float, model: str
) -> Alone:
    """Measure every part by itself; takes ``seconds``, opening the streams and loading the model."""
    input_hw = load_manifest(model).input_hw
    spawn = multiprocessing.get_context("spawn")
    counts = [
        min(STREAMS_A_PROCESS, streams - first) for first in range(0, streams, STREAMS_A_PROCESS)
    ]
    start_s = time.monotonic() + _START_S * (1 + streams / 40)
    with ProcessPoolExecutor(len(counts), mp_context=spawn) as pool:
        jobs = [
            pool.submit(_decode, clip, profile, count, start_s, seconds, input_hw)
            for count in counts
        ]
        decoded = [job.result() for job in jobs]
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        infer_ms, precision = pool.submit(_infer, clip, model).result()
    return Alone(
        streams=streams,
        decode_ms=sum(d.cpu_s for d in decoded) / sum(d.frames for d in decoded) * 1000,
        convert_ms=float(np.mean([d.convert_ms for d in decoded])),
        resize_ms=float(np.mean([d.resize_ms for d in decoded])),
        infer_ms=infer_ms,
        precision=precision,
        decoder_mib=sum(d.decoder_mib * count for d, count in zip(decoded, counts, strict=True))
        / streams,
    )


def _decode(
    clip: Path,
    profile: Profile,
    streams: int,
    start_s: float,
    seconds: float,
    input_hw: tuple[int, int],
) -> _Decoded:
    configure_process()
    empty_mib = proportional_mib([os.getpid()])
    source = Source(uri=clip.as_uri())
    captures = [open_capture(source, _LIMITS) for _ in range(streams)]
    spent: list[tuple[int, float]] = []

    def play(number: int, capture: Capture) -> None:
        first_s = start_s + number / streams / profile.fps
        frames, cpu_s = 0, 0.0
        while frames < seconds * profile.fps:
            time.sleep(max(0.0, first_s + frames / profile.fps - time.monotonic()))
            before_s = time.thread_time()
            if not capture.grab():
                break
            cpu_s += time.thread_time() - before_s
            frames += 1
        spent.append((frames, cpu_s))

    threads = [
        threading.Thread(target=play, args=(number, capture))
        for number, capture in enumerate(captures)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decoder_mib = (proportional_mib([os.getpid()]) - empty_mib) / streams
    convert_ms, resize_ms = _convert(captures[0], input_hw)
    return _Decoded(
        frames=sum(frames for frames, _ in spent),
        cpu_s=sum(cpu_s for _, cpu_s in spent),
        convert_ms=convert_ms,
        resize_ms=resize_ms,
        decoder_mib=decoder_mib,
    )


def _convert(capture: Capture, input_hw: tuple[int, int]) -> tuple[float, float]:
    """Mean milliseconds of converting and of letterboxing, over frames that were just decoded."""
    out = np.empty((*input_hw, 3), np.uint8)
    picture = None
    convert_s, resize_s = [], []
    for _ in range(_CONVERSIONS):
        capture.grab()
        began_s = time.thread_time()
        picture = capture.retrieve(picture)
        converted_s = time.thread_time()
        Letterbox.fit(picture.shape[:2], input_hw).draw(picture, out)
        resize_s.append(time.thread_time() - converted_s)
        convert_s.append(converted_s - began_s)
    return float(np.mean(convert_s)) * 1000, float(np.mean(resize_s)) * 1000


def _infer(clip: Path, model: str) -> tuple[float, str]:
    """Milliseconds of processor time a picture of the clip, as the engine infers them, and in what."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from vigil.engine.runner import Runner

    configure_logs(level="warning", form="console")  # to stderr: stdout is for JSON
    manifest = load_manifest(model)
    runner = Runner(manifest, device="cpu", max_batch=BATCH, threads=1)
    runner.warm()
    pictures = _pictures(clip, manifest.input_hw)
    began_s = time.process_time()
    for _ in range(_BATCHES):
        runner.infer(pictures)
    return (time.process_time() - began_s) / _BATCHES / BATCH * 1000, runner.precision


def _pictures(clip: Path, input_hw: tuple[int, int]) -> list[Any]:
    capture = open_capture(Source(uri=clip.as_uri()), _LIMITS)
    pictures = []
    for _ in range(BATCH):
        for _ in range(10):
            capture.grab()
        picture = capture.retrieve(None)
        out = np.empty((*input_hw, 3), np.uint8)
        Letterbox.fit(picture.shape[:2], input_hw).draw(picture, out)
        pictures.append(out)
    capture.close()
    return pictures
