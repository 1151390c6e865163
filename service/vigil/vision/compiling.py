"""Compiling a detector's net ahead of time, by torch's AOTInductor and a C++ compiler of this machine."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from vigil.errors import VigilError
from vigil.vision.compiled import (
    PACKAGE_FILE,
    CompiledPrecision,
    Library,
    Package,
    package_path,
    processor,
)
from vigil.vision.detector import InferenceNet
from vigil.vision.manifest import Manifest
from vigil.vision.weights import load_net

BATCHES = (1, 2, 4, 8, 16)  # what the engine takes at most by default, and its parts
# Not the build machine's own instructions: another machine of the same `processor` may lack some.
_MARCH = {"avx2": "x86-64-v3", "avx512": "x86-64-v4"}


class CannotCompile(VigilError):
    """Nothing can be compiled on this machine, or not this model."""

    code = "FAILED_PRECONDITION"


def compile_package(
    manifest: Manifest, *, precision: CompiledPrecision, batches: Sequence[int] = BATCHES
) -> Path:
    """Compile a model's net for this processor, a library for each batch size and for 1; gives the folder.

    A package that is there is replaced once the new one is whole. Raises CannotCompile, DamagedModel.
    """
    net = plain_net(manifest, precision)
    target = package_path(manifest)
    target.parent.mkdir(mode=0o755, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as made:
        folder = Path(made)
        libraries = {}
        for size in sorted({1, *batches}):
            path = folder / f"b{size}.so"
            images = torch.zeros((size, *manifest.input_hw, 3), dtype=torch.uint8)
            compile_library(net, images, path)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            libraries[size] = Library(file=path.name, sha256=sha256)
        package = Package(
            weights_sha256=manifest.weights_sha256,
            input_hw=manifest.input_hw,
            torch=str(torch.__version__),
            processor=processor(),
            precision=precision,
            libraries=libraries,
        )
        (folder / PACKAGE_FILE).write_bytes(msgspec.json.encode(package))
        publish(folder, target)
    return target


def plain_net(manifest: Manifest, precision: CompiledPrecision) -> InferenceNet:
    """The model's net as a compiler takes it, norms folded, nothing packed. Raises DamagedModel."""
    net = load_net(manifest).for_inference()
    net.to_precision(getattr(torch, precision))
    return InferenceNet(net, input_hw=manifest.input_hw).eval()


def compile_library(net: nn.Module, images: Tensor, path: Path) -> None:
    """Compile a net for batches just like ``images``, its weights within. Raises CannotCompile."""
    import torch._inductor  # a second, which those do without who only serve
    from torch._inductor.utils import fresh_cache

    march = _MARCH.get(processor().partition("-")[0])
    if march is None:
        raise CannotCompile(f"nets are compiled for AVX2 and AVX-512 only, this is {processor()}")
    program = compiler()
    with tempfile.TemporaryDirectory(prefix="vigil-compile-") as scratch:
        library = Path(scratch) / "net.so"
        options = {
            "freezing": True,
            "cpp.march": march,
            "aot_inductor.output_path": str(library),
        }
        try:
            with torch.no_grad(), fresh_cache(), _one_thread():
                graph = torch.export.export(net, (images,)).module()
                torch._inductor.aot_compile(graph, (images,), options=options)
        except RuntimeError as error:
            raise CannotCompile(f"{program} or torch failed: {error}") from error
        shutil.copyfile(library, path)


def compiler() -> str:
    """The C++ compiler's program. Raises CannotCompile where there is none."""
    program = os.environ.get("CXX", "g++")  # as torch looks for it
    if shutil.which(program) is None:
        raise CannotCompile(f"there is no C++ compiler: install {program}, or name one in CXX")
    return program


@contextmanager
def _one_thread() -> Iterator[None]:
    """The number of threads is compiled in, and lanes have one each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def publish(folder: Path, target: Path) -> None:
    """Put a whole package in its place, readable by all and writable by its owner."""
    for path in (*folder.iterdir(), folder):
        path.chmod(0o755 if path.is_dir() else 0o644)
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(folder, target)
