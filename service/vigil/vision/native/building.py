"""Compiling the kernels by a C++ compiler of this machine, once, for every weight and batch size."""

import hashlib
import subprocess
import tempfile
from pathlib import Path

import msgspec

from vigil.vision.compiled import processor
from vigil.vision.compiling import CannotCompile, compiler, publish
from vigil.vision.manifest import Manifest
from vigil.vision.native.library import (
    DESCRIPTION_FILE,
    LIBRARY_FILE,
    SOURCES,
    Description,
    library_folder,
    sources_sha256,
)

# Not the build machine's own instructions, as in `compiling`. Whether a processor has VNNI and BF16 is asked
# before what uses them is called (`native_precisions`).
_FLAGS = (
    "-std=c++17", "-O3", "-shared", "-fPIC", "-pthread",
    "-march=x86-64-v4", "-mavx512vnni", "-mavx512bf16",
)  # fmt: skip
_TIMEOUT_S = 300.0


def build_kernels(manifest: Manifest) -> Path:
    """Compile the kernels beside a model; gives the folder. Raises CannotCompile."""
    target = library_folder(manifest)
    target.parent.mkdir(mode=0o755, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as made:
        folder = Path(made)
        library = folder / LIBRARY_FILE
        compile_kernels(library)
        description = Description(
            sources_sha256=sources_sha256(),
            processor=processor(),
            library_sha256=hashlib.sha256(library.read_bytes()).hexdigest(),
        )
        (folder / DESCRIPTION_FILE).write_bytes(msgspec.json.encode(description))
        publish(folder, target)
    return target


def compile_kernels(library: Path) -> None:
    """Compile the kernels to a shared library. Raises CannotCompile."""
    order = [compiler(), *_FLAGS, str(SOURCES / "net.cpp"), "-o", str(library)]
    try:
        subprocess.run(order, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)  # noqa: S603 - CXX is who runs us
    except subprocess.CalledProcessError as error:
        why = "\n".join(error.stderr.splitlines()[:5])
        raise CannotCompile(f"{order[0]} failed on our kernels: {why}") from error
    except subprocess.TimeoutExpired as error:
        raise CannotCompile(f"{order[0]} took over {_TIMEOUT_S:.0f} s for our kernels") from error
