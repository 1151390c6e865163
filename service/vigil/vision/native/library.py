"""Where the kernels' shared library lies, and what is asked of it before it is loaded.

`models/<name>/compiled/native-<sources>-<processor>/` holds ``native.so`` and ``native.json``, made by
`building`. The library knows no weights: those are laid out for it when a model is loaded.
"""

import hashlib
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import torch

from vigil.data import CompiledState
from vigil.vision.compiled import FOLDER, NotCompiled, checked, opened, processor
from vigil.vision.manifest import Manifest
from vigil.vision.native.net import Kernels, NativeNet
from vigil.vision.native.plan import Plan
from vigil.vision.ranges import load_ranges
from vigil.vision.weights import load_net

SOURCES = Path(__file__).parent / "cpp"
LIBRARY_FILE = "native.so"
DESCRIPTION_FILE = "native.json"
NativePrecision: TypeAlias = Literal["int8", "bfloat16"]


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What a library was built of, and for what."""

    sources_sha256: str
    processor: str
    library_sha256: str


def native_precisions(manifest: Manifest) -> tuple[NativePrecision, ...]:
    """What this processor has instructions for; 8 bits where the model has its ranges, too."""
    if not torch.cpu._is_avx512_supported():
        return ()
    has: dict[NativePrecision, bool] = {
        "int8": torch.cpu._is_vnni_supported() and load_ranges(manifest) is not None,
        "bfloat16": torch.cpu._is_avx512_bf16_supported(),
    }
    return tuple(precision for precision, there in has.items() if there)


def sources_sha256() -> str:
    """Of the kernels' sources that came with this vigil."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def library_folder(manifest: Manifest) -> Path:
    """The folder of the kernels beside a model, for these sources and this processor."""
    name = f"native-{sources_sha256()[:12]}-{processor()}"
    return manifest.weights_path.parent / FOLDER / name


def load_kernels(manifest: Manifest) -> Kernels:
    """The kernels that were built for this processor and lie beside a model. Raises NotCompiled."""
    folder = library_folder(manifest)
    with opened(manifest, folder, DESCRIPTION_FILE) as described:
        said = msgspec.json.decode(described, type=Description)
        ours, theirs = (sources_sha256(), processor()), (said.sources_sha256, said.processor)
        if ours != theirs:
            raise NotCompiled(CompiledState.FOREIGN, f"it was made for {theirs}, this is {ours}")
        return Kernels(checked(folder / LIBRARY_FILE, said.library_sha256))


def native_net(kernels: Kernels, manifest: Manifest, precision: NativePrecision) -> NativeNet:
    """A model's net on the kernels, in one of its `native_precisions`.

    Raises DamagedModel, and ValueError where the kernels cannot run it.
    """
    ranges = load_ranges(manifest) if precision == "int8" else None
    net = load_net(manifest).for_inference()
    return NativeNet(kernels, Plan(net, input_hw=manifest.input_hw, ranges=ranges))
