"""What is refused of a package, with libraries that are none: the real thing is in tests/integration."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch
from click.testing import CliRunner

from tests.support import models as grid
from tests.support.imported import install_imported_model
from vigil.cli import main
from vigil.data import CompiledState
from vigil.vision.compiled import (
    PACKAGE_FILE,
    Library,
    NotCompiled,
    Package,
    cuts,
    load_compiled,
    package_path,
    processor,
)
from vigil.vision.manifest import Manifest, load_manifest

CODE = b"no library"


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return load_manifest(grid.NAME, models_dir=grid.install_grid_model(tmp_path))


@pytest.fixture
def package(manifest: Manifest) -> Package:
    """One that says of itself what it should, of this machine."""
    folder = package_path(manifest)
    folder.mkdir(parents=True, mode=0o755)
    (folder / "b1.so").write_bytes(CODE)
    (folder / "b1.so").chmod(0o644)
    made = Package(
        weights_sha256=manifest.weights_sha256,
        input_hw=manifest.input_hw,
        torch=str(torch.__version__),
        processor=processor(),
        precision="bfloat16",
        libraries={1: Library(file="b1.so", sha256=hashlib.sha256(CODE).hexdigest())},
    )
    write(folder, made)
    return made


def write(folder: Path, package: Package) -> None:
    (folder / PACKAGE_FILE).write_bytes(msgspec.json.encode(package))
    (folder / PACKAGE_FILE).chmod(0o644)


def why_not(manifest: Manifest) -> NotCompiled:
    with pytest.raises(NotCompiled) as refused:
        load_compiled(manifest, runners=1)
    assert "`vigil models compile grid`" in str(refused.value)
    return refused.value


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [1]), (2, [2]), (3, [2, 1]), (7, [4, 2, 1]), (8, [8]), (16, [8, 8]), (13, [8, 4, 1])],
)
def test_a_batch_is_cut_and_nothing_is_padded(count: int, expected: list[int]) -> None:
    assert list(cuts(count, dict.fromkeys((2, 8, 1, 4)))) == expected


def test_a_model_that_was_not_compiled_says_so(manifest: Manifest) -> None:
    assert why_not(manifest).state is CompiledState.ABSENT


def test_what_is_no_library_is_not_loaded(manifest: Manifest, package: Package) -> None:
    refused = why_not(manifest)
    assert (refused.state, "cannot be loaded" in str(refused)) == (CompiledState.UNUSABLE, True)


def test_a_library_that_changed_is_not_loaded(manifest: Manifest, package: Package) -> None:
    (package_path(manifest) / "b1.so").write_bytes(b"another")
    refused = why_not(manifest)
    assert (refused.state, "has sha256" in str(refused)) == (CompiledState.UNUSABLE, True)


@pytest.mark.parametrize("name", ["b1.so", PACKAGE_FILE, "."])
def test_code_that_others_could_have_written_is_not_loaded(
    manifest: Manifest, package: Package, name: str
) -> None:
    path = package_path(manifest) / name
    path.chmod(path.stat().st_mode | 0o020)
    refused = why_not(manifest)
    assert (refused.state, "chmod go-w" in str(refused)) == (CompiledState.UNUSABLE, True)


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "0" * 64},
        {"torch": "2.0.0"},
        {"processor": "avx2"},
        {"input_hw": (320, 512)},
    ],
)
def test_a_renamed_package_of_something_else_is_foreign(
    manifest: Manifest, package: Package, change: dict[str, object]
) -> None:
    write(package_path(manifest), msgspec.structs.replace(package, **change))
    assert why_not(manifest).state is CompiledState.FOREIGN


def test_packages_for_other_machines_are_named(manifest: Manifest, package: Package) -> None:
    folder = package_path(manifest)
    folder.rename(folder.with_name("of-another-machine"))
    refused = why_not(manifest)
    assert (refused.state, "of-another-machine" in str(refused)) == (CompiledState.FOREIGN, True)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff"])
def test_a_damaged_description_is_unusable(
    manifest: Manifest, package: Package, content: bytes
) -> None:
    (package_path(manifest) / PACKAGE_FILE).write_bytes(content)
    assert why_not(manifest).state is CompiledState.UNUSABLE


def test_a_package_without_a_batch_of_one_is_unusable(manifest: Manifest, package: Package) -> None:
    write(package_path(manifest), msgspec.structs.replace(package, libraries={}))
    assert why_not(manifest).state is CompiledState.UNUSABLE


@pytest.mark.parametrize(
    ("name", "install", "says"),
    [
        (grid.NAME, grid.install_grid_model, "there is no C++ compiler"),
        (grid.SHADE_NAME, grid.install_shade_classifier, "no detector of ours"),
        (
            "brought",
            lambda folder: install_imported_model(folder, "brought"),
            "no detector of ours",
        ),
    ],
)
def test_what_cannot_be_compiled_is_said(
    tmp_path: Path, name: str, install: Callable[[Path], object], says: str
) -> None:
    install(tmp_path)
    runner = CliRunner(env={"CXX": "no-such-compiler"})
    done = runner.invoke(main, ["models", "compile", name, "--models-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert says in done.output
    assert not list((tmp_path / name).glob("compiled/*"))


def test_what_was_not_compiled_is_not_measured_as_if(manifest: Manifest, tmp_path: Path) -> None:
    data = tmp_path / "pictures"
    data.mkdir()
    order = ["evaluate", "detector", "--compiled", "--data", str(data), "--model", manifest.name]
    done = CliRunner().invoke(main, [*order, "--models-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert f"make it with `vigil models compile {manifest.name}`" in done.output
