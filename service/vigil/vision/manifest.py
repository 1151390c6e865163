"""What a model is: `models/<name>/model.toml`, and where its weights lie.

Needs neither torch nor cv2: the service lists models, a host asks for an input shape.
"""

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vigil.errors import DamagedModel, UnknownModel

SMALLER_MODEL = "vigil-det-n"
LARGER_MODEL = "vigil-det-s"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_PACKAGE_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Imported:
    """How an imported graph is run and read; see `vision.imported`."""

    runtime: str  # onnxruntime or openvino
    layout: str
    pixels: str
    stretch: bool = False  # its pictures fill the input, whatever their aspect
    priors_px: tuple[tuple[float, float], ...] = ()  # width, height
    more_files: tuple[tuple[str, str], ...] = ()  # name and sha256 of what lies beside the graph


@dataclass(frozen=True, slots=True)
class Manifest:
    """One installed model. Sizes are of the net's input picture; thresholds follow `classes`."""

    name: str
    architecture: str
    classes: tuple[str, ...]
    input_height_px: int
    input_width_px: int
    score_threshold: tuple[float, ...]  # operating threshold of each class
    nms_iou: float
    weights_path: Path
    weights_sha256: str
    licence: str
    task: str = "detection"
    description: str = ""
    training_data: str = ""
    imported: Imported | None = None

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the input picture, pixels."""
        return self.input_height_px, self.input_width_px

    @property
    def stretch(self) -> bool:
        """Whether pictures are stretched to the input rather than letterboxed."""
        return self.imported is not None and self.imported.stretch

    @property
    def card_path(self) -> Path:
        """Where the model's card is."""
        return self.weights_path.parent / "card.md"


def default_models_dir() -> Path:
    """`VIGIL_MODELS_DIR` if set, else the checkout's `models/`, else what the wheel carries."""
    named = os.environ.get("VIGIL_MODELS_DIR")
    if named:
        return Path(named)
    checkout = _PACKAGE_DIR.parent.parent / "models"
    if checkout.is_dir() and (checkout.parent / "pyproject.toml").is_file():
        return checkout
    return _PACKAGE_DIR / "_models"


def load_manifest(name: str, *, models_dir: Path | None = None) -> Manifest:
    """The manifest of the model called ``name``.

    Raises UnknownModel where no such model is installed and DamagedModel where its model.toml cannot
    be used. The weights are not read: `verify` does that.
    """
    root = models_dir if models_dir is not None else default_models_dir()
    path = root / name / "model.toml"
    if not _NAME.fullmatch(name) or not path.is_file():
        installed = ", ".join(_names(root)) or "none"
        raise UnknownModel(
            f"no model {name!r} in {root}; installed: {installed}. "
            "Name one of these, or import one with `vigil models import`"
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return _manifest(name, table, path.parent)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise DamagedModel(
            f"{path} cannot be used ({error}); restore it from the release or import the model again"
        ) from error


def default_model(device: str, *, models_dir: Path | None = None) -> str:
    """The model of a device where none is named: vigil-det-s on CUDA if it is there, else vigil-det-n."""
    root = models_dir if models_dir is not None else default_models_dir()
    larger = device.startswith("cuda") and (root / LARGER_MODEL / "model.toml").is_file()
    return LARGER_MODEL if larger else SMALLER_MODEL


def list_manifests(*, models_dir: Path | None = None) -> list[Manifest]:
    """Every installed model, by name. Raises DamagedModel at the first that cannot be used."""
    root = models_dir if models_dir is not None else default_models_dir()
    return [load_manifest(name, models_dir=root) for name in _names(root)]


def expect_classifier(manifest: Manifest) -> Manifest:
    """The manifest, if it is a classifier's. Raises UnknownModel."""
    if manifest.task != "classification":
        raise UnknownModel(
            f"model {manifest.name!r} is for {manifest.task}, not classification; "
            "`vigil models list` shows what each is for"
        )
    return manifest


def verify(manifest: Manifest) -> None:
    """Check that the weights are the ones that the manifest names; raises DamagedModel if not."""
    files = [(manifest.weights_path, manifest.weights_sha256)]
    if manifest.imported is not None:
        folder = manifest.weights_path.parent
        files += [(folder / name, sha256) for name, sha256 in manifest.imported.more_files]
    for path, expected in files:
        if not path.is_file():
            raise DamagedModel(
                f"{path} is missing; restore the weights of {manifest.name!r} from the release"
            )
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise DamagedModel(
                f"{path} has sha256 {found[:12]}…, the manifest says {expected[:12]}…; "
                f"restore the weights of {manifest.name!r} from the release"
            )


def _names(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(path.parent.name for path in root.glob("*/model.toml"))


def _manifest(name: str, table: dict[str, Any], folder: Path) -> Manifest:
    if table["name"] != name:
        raise ValueError(f"it names the model {table['name']!r}, its folder {name!r}")
    classes = tuple(str(label) for label in table["classes"])
    thresholds = tuple(float(value) for value in table["score_threshold"])
    if not classes or len(thresholds) != len(classes):
        raise ValueError(f"{len(thresholds)} score thresholds for {len(classes)} classes")
    weights = folder / Path(str(table["weights"])).name
    return Manifest(
        name=name,
        architecture=str(table["architecture"]),
        classes=classes,
        input_height_px=int(table["input_height_px"]),
        input_width_px=int(table["input_width_px"]),
        score_threshold=thresholds,
        nms_iou=float(table["nms_iou"]),
        weights_path=weights,
        weights_sha256=str(table["weights_sha256"]).lower(),
        licence=str(table["licence"]),
        task=str(table.get("task", "detection")),
        description=str(table.get("description", "")),
        training_data=str(table.get("training_data", "")),
        imported=_imported(table["imported"]) if "imported" in table else None,
    )


def _imported(table: dict[str, Any]) -> Imported:
    files = table.get("more_files", {})
    return Imported(
        runtime=str(table["runtime"]),
        layout=str(table["layout"]),
        pixels=str(table["pixels"]),
        stretch=bool(table.get("stretch", False)),
        priors_px=tuple((float(w), float(h)) for w, h in table.get("priors_px", [])),
        more_files=tuple((Path(str(name)).name, str(sha)) for name, sha in files.items()),
    )
