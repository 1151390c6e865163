"""Our kernels beside the net in float32 and torch's 8 bits; needs g++ and a processor that they are for."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from tests.support import models as grid
from vigil.cli import main
from vigil.data import U8, CompiledState
from vigil.engine.precision import fastest_detector, probe_pictures
from vigil.vision.compiled import NotCompiled
from vigil.vision.compiling import CannotCompile
from vigil.vision.detector import Agreement, Detector, InferenceNet, probe
from vigil.vision.manifest import Manifest, load_manifest
from vigil.vision.native.building import build_kernels, compile_kernels
from vigil.vision.native.library import (
    DESCRIPTION_FILE,
    LIBRARY_FILE,
    Description,
    NativePrecision,
    library_folder,
    load_kernels,
    native_net,
    native_precisions,
)
from vigil.vision.native.net import Kernels, NativeNet
from vigil.vision.native.plan import Plan
from vigil.vision.nets.quantised import QuantisedNet
from vigil.vision.ranges import load_ranges, measure_ranges, save_ranges
from vigil.vision.weights import load_net

PRECISIONS: tuple[NativePrecision, ...] = native_precisions(load_manifest("vigil-det-n"))
pytestmark = [
    pytest.mark.skipif(not PRECISIONS, reason="no AVX512-VNNI and no AVX512-BF16"),
    pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed"),
]
every_precision = pytest.mark.parametrize("precision", PRECISIONS)
Answer = tuple[Tensor, Tensor]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the engine's lanes: threads that share an operation of torch wait for busy neighbours."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kernels") / LIBRARY_FILE
    compile_kernels(path)
    return path


@pytest.fixture(scope="module")
def kernels(library: Path) -> Kernels:
    return Kernels(library)


def sized(name: str, height_px: int, width_px: int) -> Manifest:
    return replace(load_manifest(name), input_height_px=height_px, input_width_px=width_px)


def pictures(manifest: Manifest, count: int = 4) -> U8:
    made = probe_pictures(*manifest.input_hw)
    return made[[index % len(made) for index in range(count)]]


def answer(net: torch.nn.Module, batch: U8) -> Answer:
    with torch.inference_mode():
        logits, boxes = net(torch.from_numpy(batch))
    return logits, boxes


def apart(one: Answer, other: Answer) -> float:
    """The root mean square of the differences of all logits, in standard deviations of the logits."""
    return float((one[0] - other[0].float()).square().mean().sqrt() / other[0].float().std())


# 32 × 32 has one cell of stride 32; 224 × 352 has widths that no block of 8 pixels divides
@every_precision
@pytest.mark.parametrize("name", ["vigil-det-n", "vigil-det-s"])
@pytest.mark.parametrize("size", [(32, 32), (64, 96), (224, 352)])
def test_the_kernels_say_what_float_says(
    kernels: Kernels, name: str, size: tuple[int, int], precision: NativePrecision
) -> None:
    manifest = sized(name, *size)
    batch = pictures(manifest, count=3)
    net = native_net(kernels, manifest, precision)
    native, exact = answer(net, batch), Detector(manifest).raw(batch)
    assert native[0].shape == exact[0].shape
    assert native[1].shape == exact[1].shape
    assert apart(native, exact) < (0.01 if precision == "bfloat16" else 0.1)
    agreement = probe(
        Detector(manifest, precision=precision, compiled=net), Detector(manifest), batch
    )
    assert agreement.good(precision)
    if precision == "int8":  # and no worse than the 8 bits that the accuracy was measured with
        packed = Detector(manifest, precision="int8").raw(batch)
        assert apart(native, exact) < 2 * apart(packed, exact)


@every_precision
def test_boxes_are_where_float_has_them(kernels: Kernels, precision: NativePrecision) -> None:
    manifest = sized("vigil-det-n", 96, 160)
    batch = pictures(manifest)
    _, boxes = answer(native_net(kernels, manifest, precision), batch)
    _, exact = Detector(manifest).raw(batch)
    tolerance_px = 0.2 if precision == "bfloat16" else 1.0
    assert torch.median((boxes - exact).abs()) < tolerance_px


@every_precision
@pytest.mark.parametrize("place", ["stages.1", "merges.1", "context.join", "heads.0.0"])
def test_a_planted_difference_is_seen(
    kernels: Kernels, precision: NativePrecision, place: str
) -> None:
    manifest = sized("vigil-det-n", 64, 96)
    batch, net = pictures(manifest), load_net(manifest).for_inference()
    exact = Detector(manifest).raw(batch)
    ranges = load_ranges(manifest) if precision == "int8" else None
    if ranges is None:
        conv = net.get_submodule(place + (".0" if place.startswith("stages") else "")).conv
        conv.weight[0] *= 1.5  # type: ignore[operator,union-attr,index]
    else:
        ranges = {**ranges, place: ranges[place] / 8}
    wrong = NativeNet(kernels, Plan(net, input_hw=manifest.input_hw, ranges=ranges))
    assert apart(answer(wrong, batch), exact) > (0.01 if precision == "bfloat16" else 0.1)


@pytest.mark.skipif("int8" not in PRECISIONS, reason="no AVX512-VNNI")
@pytest.mark.parametrize("place", ["stages.1.1.reduce", "pyramid.0", "merges.1"])
def test_what_is_beyond_a_range_stops_at_its_end(kernels: Kernels, place: str) -> None:
    manifest = sized("vigil-det-n", 64, 96)
    batch, net = pictures(manifest), load_net(manifest).for_inference()
    ranges = load_ranges(manifest)
    assert ranges is not None
    tight = {**ranges, place: ranges[place] / 4}
    packed = InferenceNet(net, input_hw=manifest.input_hw)
    packed.net = QuantisedNet(net, tight)
    plan = Plan(net, input_hw=manifest.input_hw, ranges=tight)
    assert apart(answer(NativeNet(kernels, plan), batch), answer(packed, batch)) < 0.06
    for step in plan.steps:
        step.convolution.most = 255
    assert apart(answer(NativeNet(kernels, plan), batch), answer(packed, batch)) > 0.06


@every_precision
def test_how_many_rows_have_their_terms_at_once_changes_nothing(
    kernels: Kernels, precision: NativePrecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = sized("vigil-det-n", 96, 224)
    batch = pictures(manifest, count=2)
    logits, boxes = answer(native_net(kernels, manifest, precision), batch)
    monkeypatch.setattr("vigil.vision.native.winograd._BAND_BYTES", 1 << 12)
    other = answer(native_net(kernels, manifest, precision), batch)
    assert torch.equal(other[0], logits)
    assert torch.equal(other[1], boxes)


@every_precision
def test_a_batch_gives_what_single_pictures_give(
    kernels: Kernels, precision: NativePrecision
) -> None:
    manifest = sized("vigil-det-n", 64, 96)
    net, batch = native_net(kernels, manifest, precision), pictures(manifest, count=16)
    batch[7:] = batch[7:, ::-1]
    torch.set_num_threads(3)
    logits, boxes = answer(net, batch)
    torch.set_num_threads(1)
    for index in range(len(batch)):
        alone = answer(net, batch[index : index + 1])
        assert torch.equal(alone[0][0], logits[index])
        assert torch.equal(alone[1][0], boxes[index])


@every_precision
def test_threads_share_a_net_and_get_the_same(kernels: Kernels, precision: NativePrecision) -> None:
    manifest = sized("vigil-det-n", 64, 96)
    net, batch = native_net(kernels, manifest, precision), pictures(manifest)
    alone = [answer(net, batch[index : index + 1]) for index in range(len(batch))]
    with ThreadPoolExecutor(4) as pool:
        orders = [index % len(batch) for index in range(80)]
        shared = list(pool.map(lambda index: answer(net, batch[index : index + 1]), orders))
    for index, (logits, boxes) in zip(orders, shared, strict=True):
        assert torch.equal(logits, alone[index][0])
        assert torch.equal(boxes, alone[index][1])


def test_pictures_of_another_shape_are_refused(kernels: Kernels) -> None:
    net = native_net(kernels, sized("vigil-det-n", 64, 96), PRECISIONS[0])
    with pytest.raises(ValueError, match=r"give \(B, \(64, 96, 3\)\) uint8"):
        net(torch.zeros(1, 96, 64, 3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="uint8"):
        net(torch.zeros(1, 64, 96, 3))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """A small model with ranges."""
    found = load_manifest(grid.NAME, models_dir=grid.install_grid_model(tmp_path))
    save_ranges(found, measure_ranges(load_net(found), [probe_pictures(*grid.INPUT_HW)]))
    return found


@pytest.fixture
def built(manifest: Manifest, library: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of its kernels, as `vigil models compile` makes it."""

    def copy(target: Path) -> None:
        shutil.copyfile(library, target)

    monkeypatch.setattr("vigil.vision.native.building.compile_kernels", copy)
    return build_kernels(manifest)


def test_the_engine_takes_the_kernels_where_they_are_faster(
    manifest: Manifest, built: Path
) -> None:
    choice = fastest_detector(manifest, device="cpu")
    assert choice.compiled["native"] in (CompiledState.USED, CompiledState.SLOWER)
    used = choice.compiled["native"] is CompiledState.USED
    assert (choice.detector.form == "native") is used
    (found, *_) = choice.detector.detect(probe_pictures(*grid.INPUT_HW))
    assert len(found) == grid.BOXES


def test_kernels_that_disagree_are_left(
    manifest: Manifest, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(detector: Detector, reference: Detector, batch: U8) -> Agreement:
        agreement = probe(detector, reference, batch)
        return (
            replace(agreement, score=1.0, mean_score=1.0)
            if detector.form == "native"
            else agreement
        )

    monkeypatch.setattr("vigil.engine.precision.probe", planted)
    choice = fastest_detector(manifest, device="cpu")
    assert choice.compiled["native"] is CompiledState.DISAGREES
    assert choice.detector.form != "native"


def test_a_processor_without_the_instructions_runs_as_before(
    manifest: Manifest, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: False)
    choice = fastest_detector(manifest, device="cpu")
    assert "native" not in choice.compiled
    assert choice.detector.form != "native"
    order = ["evaluate", "detector", "--native", "--data", str(built), "--model", manifest.name]
    done = CliRunner().invoke(main, [*order, "--models-dir", str(built.parents[2])])
    assert done.exit_code == 2
    assert "--native runs on this processor in --precision none" in done.output


def test_a_net_with_too_many_classes_runs_as_before(kernels: Kernels) -> None:
    manifest = sized("vigil-det-n", 64, 96)
    net = load_net(manifest).for_inference()
    net.classes = 13
    with pytest.raises(ValueError, match="take up to 12"):
        Plan(net, input_hw=manifest.input_hw, ranges=None)


def why_not(manifest: Manifest) -> NotCompiled:
    with pytest.raises(NotCompiled, match="`vigil models compile grid`") as refused:
        load_kernels(manifest)
    choice = fastest_detector(manifest, device="cpu")
    assert choice.compiled["native"] is refused.value.state
    assert choice.detector.form != "native"
    return refused.value


def test_kernels_that_were_not_built_are_named(manifest: Manifest) -> None:
    assert why_not(manifest).state is CompiledState.ABSENT


def truncate(folder: Path) -> None:
    (folder / LIBRARY_FILE).write_bytes(b"no library")


def truncate_and_say_so(folder: Path) -> None:
    truncate(folder)
    change(folder, library_sha256=hashlib.sha256(b"no library").hexdigest())


def change(folder: Path, **changes: str) -> None:
    path = folder / DESCRIPTION_FILE
    said = msgspec.json.decode(path.read_bytes(), type=Description)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(said, **changes)))


@pytest.mark.parametrize(
    ("harm", "state", "says"),
    [
        (truncate, CompiledState.UNUSABLE, "has sha256"),
        (truncate_and_say_so, CompiledState.UNUSABLE, "cannot be loaded"),
        (lambda folder: (folder / LIBRARY_FILE).chmod(0o666), CompiledState.UNUSABLE, "chmod go-w"),
        (lambda folder: folder.chmod(0o777), CompiledState.UNUSABLE, "chmod go-w"),
        (lambda folder: (folder / DESCRIPTION_FILE).write_bytes(b"{"), CompiledState.UNUSABLE, "loaded"),
        (lambda folder: change(folder, processor="avx2"), CompiledState.FOREIGN, "made for"),
        (lambda folder: change(folder, sources_sha256="0"), CompiledState.FOREIGN, "made for"),
        (lambda folder: folder.rename(folder.with_name("old")), CompiledState.FOREIGN, "there is old"),
    ],
)  # fmt: skip
def test_kernels_that_are_not_ours_are_not_loaded(
    manifest: Manifest, built: Path, harm: Callable[[Path], object], state: CompiledState, says: str
) -> None:
    assert built == library_folder(manifest)
    harm(built)
    refused = why_not(manifest)
    assert (refused.state, says in str(refused)) == (state, True)


def test_a_compiler_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "c++"
    program.write_text("#!/bin/sh\necho no such instruction >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    with pytest.raises(CannotCompile, match="failed on our kernels: no such instruction"):
        compile_kernels(tmp_path / LIBRARY_FILE)
