"""Which precision a device runs a model in: the fastest that agrees with float32."""

import time

import cv2
import numpy as np
import structlog
import torch

from vigil.data import U8
from vigil.vision.detector import Detector, Precision, probe
from vigil.vision.manifest import Manifest
from vigil.vision.nets.quantised import can_quantise
from vigil.vision.ranges import load_ranges, ranges_path

log = structlog.get_logger()

PROBE_BATCH = 4
PROBE_RUNS = 3


def fastest_detector(manifest: Manifest, *, device: str) -> Detector:
    """The model on its device, in float32 or a precision that was checked and measured to be faster.

    bfloat16 where the processor has instructions for it (AVX512-BF16, AMX), int8 where it has VNNI and
    the model its ranges, float16 on CUDA.
    """
    reference = Detector(manifest, device=device, precision="float32")
    pictures = probe_pictures(*manifest.input_hw)
    best, best_s = reference, _seconds(reference, pictures)
    for precision in (*candidates(device), *_eight_bits(manifest, device)):
        detector = Detector(manifest, device=device, precision=precision)
        agreement = probe(detector, reference, pictures)
        took_s = _seconds(detector, pictures)
        log.info(
            "precision_tried",
            precision=precision,
            agrees=agreement.good(precision),
            score_difference=round(agreement.score, 4),
            mean_score_difference=round(agreement.mean_score, 4),
            box_difference_px=round(agreement.box_px, 2),
            against_float32=round(took_s / best_s, 3),
        )
        if agreement.good(precision) and took_s < best_s:
            best, best_s = detector, took_s
    return best


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
    """The best of a few runs: the first one chooses algorithms, and others may want the processor."""
    best_s = float("inf")
    for _ in range(PROBE_RUNS):
        started_s = time.monotonic()
        logits, _ = detector.raw(pictures)
        logits.sum().item()  # on CUDA the result is there only now
        best_s = min(best_s, time.monotonic() - started_s)
    return best_s
