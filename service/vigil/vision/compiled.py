"""A detector's net compiled ahead of time: one library a batch size, served without a compiler.

`models/<name>/compiled/<weights>-<input>-torch<version>-<processor>/` holds ``b1.so``, ``b2.so`` … and
``package.json``; `vision.compiling` makes it. A library holds the weights as one kind of processor wants
them laid out, and calls one version of torch: it is of use there only. And it is code, which runs as we do.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import torch
from torch import Tensor, nn

from vigil.data import CompiledState
from vigil.errors import VigilError
from vigil.vision.manifest import Manifest

FOLDER = "compiled"  # beside the weights
PACKAGE_FILE = "package.json"
CompiledPrecision: TypeAlias = Literal["float32", "bfloat16"]


class NotCompiled(VigilError):
    """A model's compiled form is not there, or not to be used here; ``state`` says which."""

    code = "FAILED_PRECONDITION"

    def __init__(self, state: CompiledState, detail: str) -> None:
        super().__init__(detail)
        self.state = state


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """One batch size's."""

    file: str
    sha256: str


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder of libraries was made of, and for what."""

    weights_sha256: str
    input_hw: tuple[int, int]
    torch: str
    processor: str
    precision: CompiledPrecision
    libraries: dict[int, Library]  # by batch size


class CompiledNet(nn.Module):
    """What an `InferenceNet` computes, for batches of any size: cut into sizes that were compiled.

    Up to ``runners`` threads run it at once. Nobody else may call a library: given a batch that is smaller
    than its own it reads past the end.
    """

    form = "compiled"

    def __init__(self, libraries: Mapping[int, Path], *, input_hw: tuple[int, int], runners: int):
        super().__init__()
        self._picture = (*input_hw, 3)
        self._nets = {
            size: torch._C._aoti.AOTIModelContainerRunnerCpu(str(path), runners)
            for size, path in libraries.items()
        }

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 BGR (B, H, W, 3) to logits (B, A, C) and boxes (B, A, 4) float32 xyxy px."""
        if images.shape[1:] != self._picture or images.dtype != torch.uint8:
            raise ValueError(
                f"{tuple(images.shape)} {images.dtype}: give (B, {self._picture}) uint8"
            )
        sizes = list(cuts(len(images), self._nets))
        parts = [
            self._nets[len(part)].run([part]) for part in torch.split(images.contiguous(), sizes)
        ]
        logits, boxes = zip(*parts, strict=True)
        return (logits[0], boxes[0]) if len(parts) == 1 else (torch.cat(logits), torch.cat(boxes))


def cuts(count: int, sizes: Mapping[int, object]) -> Iterator[int]:
    """``count`` pictures in as few batches of the given sizes as there can be; 1 is among the sizes.

    Nothing is padded: a frame alone costs a third more than one of eight, and a padded one is for nothing.
    """
    for size in sorted(sizes, reverse=True):
        while count >= size:
            yield size
            count -= size


def processor() -> str:
    """What compiled code depends on of this processor, as torch and oneDNN do: avx512-vnni-bf16."""
    extras = {
        "vnni": torch.cpu._is_vnni_supported(),
        "bf16": torch.cpu._is_avx512_bf16_supported(),
        "amx": torch.cpu._is_amx_tile_supported(),
    }
    level = torch.backends.cpu.get_cpu_capability().lower()
    return "-".join((level, *(name for name, there in extras.items() if there)))


def package_path(manifest: Manifest) -> Path:
    """The folder of a model's package for this torch and this processor, whether it is there or not."""
    height_px, width_px = manifest.input_hw
    name = f"{manifest.weights_sha256[:12]}-{width_px}x{height_px}-torch{torch.__version__}-{processor()}"
    return manifest.weights_path.parent / FOLDER / name


def load_compiled(manifest: Manifest, *, runners: int) -> tuple[CompiledNet, CompiledPrecision]:
    """A model's compiled net and its precision, for up to ``runners`` threads at once. Raises NotCompiled."""
    folder = package_path(manifest)
    with opened(manifest, folder, PACKAGE_FILE) as described:
        package = msgspec.json.decode(described, type=Package)
        _expect_made_for(manifest, package)
        libraries = {
            size: checked(folder / Path(library.file).name, library.sha256)
            for size, library in package.libraries.items()
        }
        if 1 not in libraries:
            raise _unusable("it has no library for a batch of 1")
        net = CompiledNet(libraries, input_hw=manifest.input_hw, runners=runners)
    return net, package.precision


@contextlib.contextmanager
def opened(manifest: Manifest, folder: Path, description: str) -> Iterator[bytes]:
    """What a folder of compiled code says of itself, while it is loaded.

    Whatever fails within is NotCompiled, with the folder's name and what to do.
    """
    advice = f"make it with `vigil models compile {manifest.name}`"
    if not (folder / description).is_file():
        others = sorted(path.parent.name for path in folder.parent.glob(f"*/{description}"))
        state = CompiledState.FOREIGN if others else CompiledState.ABSENT
        there = f"; there is {', '.join(others)}" if others else ""
        raise NotCompiled(state, f"{folder} is not there{there}; {advice}")
    try:
        for path in (folder, folder / description):
            _expect_ours(path)
        yield (folder / description).read_bytes()
    except NotCompiled as error:
        raise NotCompiled(error.state, f"{folder}: {error}; {advice}") from None
    except (OSError, msgspec.MsgspecError, RuntimeError, ValueError) as error:
        raise NotCompiled(
            CompiledState.UNUSABLE, f"{folder} cannot be loaded ({error}); {advice}"
        ) from None


def _unusable(detail: str) -> NotCompiled:
    return NotCompiled(CompiledState.UNUSABLE, detail)


def _expect_made_for(manifest: Manifest, package: Package) -> None:
    """Folders can be renamed and copied: what counts is what the package says of itself."""
    ours = (manifest.weights_sha256, manifest.input_hw, str(torch.__version__), processor())
    theirs = (package.weights_sha256, package.input_hw, package.torch, package.processor)
    if ours != theirs:
        raise NotCompiled(CompiledState.FOREIGN, f"it was made for {theirs}, this is {ours}")


def checked(path: Path, sha256: str) -> Path:
    """A library that is as it was made, and that nobody else could have changed. Raises NotCompiled."""
    _expect_ours(path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise _unusable(f"{path.name} has sha256 {found[:12]}…, {PACKAGE_FILE} says {sha256[:12]}…")
    return path


def _expect_ours(path: Path) -> None:
    """Only who could change vigil itself may have written what is run. Raises NotCompiled."""
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise _unusable(
            f"{path.name} can be changed by others than root and this user: chown it, chmod go-w"
        )
