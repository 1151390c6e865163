"""The ranges of a detector's activations, which its 8-bit form needs: measured once, kept beside it.

`models/<name>/ranges.json` names the weights that it was measured on; with others it counts for nothing.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from vigil.data import U8
from vigil.errors import DamagedModel
from vigil.vision.manifest import Manifest
from vigil.vision.nets.blocks import Bottleneck, ConvNorm
from vigil.vision.nets.detector_net import DetectorNet

RANGES_FILE = "ranges.json"
QUANTILE = 0.99999  # of a picture's values: the rest is clipped, which is finer for all others
_SAMPLE = 1 << 20  # values a tensor that a quantile is taken of


def ranges_path(manifest: Manifest) -> Path:
    """Where a model's ranges lie, if it has them."""
    return manifest.weights_path.parent / RANGES_FILE


def load_ranges(manifest: Manifest) -> dict[str, float] | None:
    """The largest value of each activation by its place in the net; None without ranges for these weights.

    Raises DamagedModel where the file cannot be read.
    """
    path = ranges_path(manifest)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["weights_sha256"] != manifest.weights_sha256:
            return None
        return {str(name): float(value) for name, value in content["largest"].items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedModel(
            f"{path} cannot be used ({error}); make it anew with `vigil models quantise {manifest.name}`"
        ) from error


def save_ranges(manifest: Manifest, largest: dict[str, float]) -> Path:
    """Write ranges beside the model's weights."""
    path = ranges_path(manifest)
    content = {"weights_sha256": manifest.weights_sha256, "largest": largest}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def measure_ranges(
    net: DetectorNet, batches: Iterable[U8], *, quantile: float = QUANTILE
) -> dict[str, float]:
    """Run a net on letterboxed pictures, (B, H, W, 3) uint8 a batch, and see how large activations become.

    The mean over the batches of their quantiles; of activations that share a scale, the largest.
    """
    folded = net.for_inference()
    seen: dict[str, list[float]] = {}
    now: dict[str, float] = {}

    def note(key: str, value: Tensor) -> None:
        flat = value.detach().flatten().abs()
        sample = flat[:: max(1, flat.numel() // _SAMPLE)]
        now[key] = max(now.get(key, 0.0), float(sample.quantile(quantile)))

    hooks = [
        module.register_forward_hook(lambda _m, _i, out, key=key: note(key, out))
        for name, module in folded.named_modules()
        if isinstance(module, ConvNorm | Bottleneck) and (key := _place(name))
    ]
    hooks += [
        merge.register_forward_pre_hook(lambda _m, args, key=f"pyramid.{i}": note(key, args[0]))
        for i, merge in enumerate(folded.merges)
    ]
    with torch.inference_mode():
        for batch in batches:
            now.clear()
            folded(torch.from_numpy(batch).permute(0, 3, 1, 2))
            for key, value in now.items():
                seen.setdefault(key, []).append(value)
    for hook in hooks:
        hook.remove()
    return {key: round(max(sum(values) / len(values), 1e-3), 5) for key, values in seen.items()}


def _place(name: str) -> str:
    """Which scale an activation has: a stage's are one, so that its sums are of bytes."""
    if name == "stem":
        return "stages.0"
    parts = name.split(".")
    if parts[0] == "laterals":
        return ""  # nobody sees one without what is added
    if parts[0] == "stages" and parts[-1] != "reduce":
        return ".".join(parts[:2])
    return name
