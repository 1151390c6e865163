import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from vigil.errors import DamagedModel, UnknownModel
from vigil.vision.manifest import default_model, list_manifests, load_manifest, verify

WEIGHTS = b"not really weights"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(WEIGHTS)
    (folder / "model.toml").write_text(
        'name = "tiny"\narchitecture = "vigil-det-n"\nclasses = ["person", "car"]\n'
        "input_height_px = 64\ninput_width_px = 96\nscore_threshold = [0.3, 0.4]\nnms_iou = 0.6\n"
        'weights = "weights.safetensors"\nlicence = "Apache-2.0"\n'
        f'weights_sha256 = "{hashlib.sha256(WEIGHTS).hexdigest()}"\n'
    )
    return tmp_path


def test_a_manifest_says_shape_classes_and_thresholds(models: Path) -> None:
    manifest = load_manifest("tiny", models_dir=models)
    assert manifest.input_hw == (64, 96)
    assert dict(zip(manifest.classes, manifest.score_threshold, strict=True)) == {
        "person": 0.3,
        "car": 0.4,
    }
    verify(manifest)
    assert [m.name for m in list_manifests(models_dir=models)] == ["tiny"]


@pytest.mark.parametrize("name", ["absent", "../tiny", "", "Tiny"])
def test_an_unknown_model_names_those_that_are_installed(models: Path, name: str) -> None:
    with pytest.raises(UnknownModel, match="installed: tiny"):
        load_manifest(name, models_dir=models)


def test_changed_weights_are_refused(models: Path) -> None:
    manifest = load_manifest("tiny", models_dir=models)
    manifest.weights_path.write_bytes(WEIGHTS + b"!")
    with pytest.raises(DamagedModel, match="sha256"):
        verify(manifest)


def test_missing_weights_are_refused(models: Path) -> None:
    manifest = load_manifest("tiny", models_dir=models)
    manifest.weights_path.unlink()
    with pytest.raises(DamagedModel, match="missing"):
        verify(manifest)


def test_thresholds_must_match_the_classes(models: Path) -> None:
    path = models / "tiny" / "model.toml"
    path.write_text(path.read_text().replace("[0.3, 0.4]", "[0.3]"))
    with pytest.raises(DamagedModel, match="1 score thresholds for 2 classes"):
        load_manifest("tiny", models_dir=models)


def test_weights_stay_in_the_models_folder(models: Path) -> None:
    path = models / "tiny" / "model.toml"
    path.write_text(path.read_text().replace('"weights.safe', '"../../etc/weights.safe'))
    weights = load_manifest("tiny", models_dir=models).weights_path
    assert weights.parent == models / "tiny"


def test_the_manifest_needs_neither_torch_nor_cv2() -> None:
    code = "import sys, vigil.vision.manifest; sys.exit(bool({'torch', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_letterbox_needs_no_torch() -> None:
    code = "import sys, vigil.vision.letterbox; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("manifest", list_manifests(), ids=lambda m: m.name)
def test_shipped_models_are_intact(manifest: object) -> None:
    verify(manifest)  # type: ignore[arg-type]


def test_the_larger_model_is_the_default_on_cuda_where_it_is_installed(tmp_path: Path) -> None:
    assert default_model("cpu", models_dir=tmp_path) == "vigil-det-n"
    assert default_model("cuda:1", models_dir=tmp_path) == "vigil-det-n", "nothing else is there"
    (tmp_path / "vigil-det-s").mkdir()
    (tmp_path / "vigil-det-s" / "model.toml").touch()
    assert default_model("cuda:1", models_dir=tmp_path) == "vigil-det-s"
    assert default_model("cpu", models_dir=tmp_path) == "vigil-det-n"
