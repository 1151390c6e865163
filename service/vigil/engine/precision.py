"""Which form of a model a device runs: the fastest that agrees with float32."""

import logging
import time
from dataclasses import dataclass

import cv2
import numpy as np
import structlog
import torch

from vigil.data import U8, CompiledState
from vigil.vision.compiled import CompiledNet, NotCompiled, load_compiled
from vigil.vision.detector import Detector, Precision, probe
from vigil.vision.manifest import Manifest
from vigil.vision.native.library import load_kernels, native_net, native_precisions
from vigil.vision.native.net import NativeNet
from vigil.vision.nets.quantised import can_quantise
from vigil.vision.ranges import load_ranges, ranges_path

log = structlog.get_logger()

PROBE_BATCH = 4
PROBE_RUNS = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """The form of a model that a device runs fastest."""

    detector: Detector
    compiled: dict[
        str, CompiledState
    ]  # what became of forms that were compiled, where there could be some


def fastest_detector(manifest: Manifest, *, device: str, lanes: int = 1) -> Choice:
    """The model on its device, in float32 or a form that was checked and measured to be faster.

    bfloat16 where the processor has instructions for it (AVX512-BF16, AMX), int8 where it has VNNI and
    the model its ranges, float16 on CUDA; on a CPU our own kernels in both, and what torch compiled ahead of
    time for ``lanes``, where these were made.
    """
    contest = _Contest(Detector(manifest, device=device, precision="float32"))
    for precision in (*candidates(device), *_eight_bits(manifest, device)):
        contest.enter(Detector(manifest, device=device, precision=precision))
    if device != "cpu":
        return Choice(contest.best, {})
    entered = {
        NativeNet.form: _enter_native(contest, manifest),
        CompiledNet.form: _enter_compiled(contest, manifest, lanes),
    }
    return Choice(
        contest.best,
        {form: one.seen_from(contest.best) for form, one in entered.items() if one is not None},
    )


class _Contest:
    """Forms of a model beside its reference in float32, and the fastest so far."""

    def __init__(self, reference: Detector) -> None:
        self.best = self._reference = reference
        self._pictures = probe_pictures(*reference.manifest.input_hw)
        self._best_s = _seconds(reference, self._pictures)

    def enter(self, detector: Detector) -> bool:
        """Try another one; says whether it agrees with the reference."""
        agreement = probe(detector, self._reference, self._pictures)
        agrees = agreement.good(detector.precision)
        took_s = _seconds(detector, self._pictures)
        log.info(
            "precision_tried",
            precision=detector.precision,
            form=detector.form,
            agrees=agrees,
            score_difference=round(agreement.score, 4),
            mean_score_difference=round(agreement.mean_score, 4),
            box_difference_px=round(agreement.box_px, 2),
            against_best=round(took_s / self._best_s, 3),
        )
        if agrees and took_s < self._best_s:
            self.best, self._best_s = detector, took_s
        return agrees


@dataclass(frozen=True, slots=True)
class _Entered:
    """Detectors of one compiled form that were tried, or why there are none."""

    detectors: tuple[Detector, ...] = ()  # that agree with float32
    missing: CompiledState = CompiledState.DISAGREES

    def seen_from(self, best: Detector) -> CompiledState:
        if not self.detectors:
            return self.missing
        return CompiledState.USED if best in self.detectors else CompiledState.SLOWER


def _enter_native(contest: _Contest, manifest: Manifest) -> _Entered | None:
    """None where this processor, or this net, has no use for our kernels."""
    wanted = native_precisions(manifest)
    if not wanted:
        return None
    try:
        kernels = load_kernels(manifest)
        nets = {precision: native_net(kernels, manifest, precision) for precision in wanted}
    except NotCompiled as error:
        log.warning("not_compiled", form=NativeNet.form, state=error.state, detail=str(error))
        return _Entered(missing=error.state)
    except ValueError as error:
        log.info("no_net_for_our_kernels", model=manifest.name, detail=str(error))
        return None
    return _entered(
        contest,
        [Detector(manifest, precision=precision, compiled=net) for precision, net in nets.items()],
    )


def _enter_compiled(contest: _Contest, manifest: Manifest, lanes: int) -> _Entered:
    try:
        net, precision = load_compiled(manifest, runners=lanes)
    except NotCompiled as error:
        # nobody need compile what is slower than the kernels or the 8 bits that run instead
        faster = contest.best.form == NativeNet.form or contest.best.precision == "int8"
        missed = error.state is not CompiledState.ABSENT or not faster
        level = logging.WARNING if missed else logging.INFO
        log.log(level, "not_compiled", form=CompiledNet.form, state=error.state, detail=str(error))
        return _Entered(missing=error.state)
    return _entered(contest, [Detector(manifest, precision=precision, compiled=net)])


def _entered(contest: _Contest, detectors: list[Detector]) -> _Entered:
    agree = tuple(detector for detector in detectors if contest.enter(detector))
    if not agree:
        advice = f"`vigil models compile {detectors[0].manifest.name}`"
        log.warning("compiled_disagrees", form=detectors[0].form, advice=advice)
    return _Entered(agree)


def probe_pictures(height_px: int, width_px: int) -> U8:
    """Pictures with structure at every scale, the same each time: (PROBE_BATCH, H, W, 3) uint8."""
    rng = np.random.default_rng(20260501)
    pictures = np.zeros((PROBE_BATCH, height_px, width_px, 3), np.float32)
    for scale in (4, 8, 16, 32, 64, 128):
        for picture in pictures:
            coarse = rng.normal(
                0.0, 25.0, (max(2, height_px // scale), max(2, width_px // scale), 3)
            ).astype(np.float32)
            picture += cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    whole: U8 = np.clip(pictures + 114.0, 0, 255).astype(np.uint8)
    return whole


def candidates(device: str) -> tuple[Precision, ...]:
    """What is faster than float32 on some devices of this kind, to be tried."""
    if device.startswith("cuda"):
        return ("float16",)
    amx, avx = torch.cpu._is_amx_tile_supported(), torch.cpu._is_avx512_bf16_supported()
    return ("bfloat16",) if amx or avx else ()


def _eight_bits(manifest: Manifest, device: str) -> tuple[Precision, ...]:
    """8 bits, where the processor has them and the model its ranges."""
    if device != "cpu" or not can_quantise():
        return ()
    if load_ranges(manifest) is not None:
        return ("int8",)
    if ranges_path(manifest).is_file():
        log.warning(
            "ranges_of_other_weights",
            model=manifest.name,
            advice=f"measure them anew: vigil models quantise {manifest.name}",
        )
    return ()


def _seconds(detector: Detector, pictures: U8) -> float:
    """The best of a few runs: the first one chooses algorithms, and others may want the processor.

    On a CPU its own processor time: beside busy neighbours the wall's says more of them than of the form.
    """
    clock = time.process_time if detector.device.type == "cpu" else time.monotonic
    best_s = float("inf")
    for _ in range(PROBE_RUNS):
        started_s = clock()
        logits, _ = detector.raw(pictures)
        logits.sum().item()  # on CUDA the result is there only now
        best_s = min(best_s, clock() - started_s)
    return best_s
