"""From a checkpoint to a model folder: model.toml and weights.safetensors."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from vigil.training.checkpoint import load_checkpoint
from vigil.training.labels import CLASSES
from vigil.vision.manifest import Manifest, load_manifest
from vigil.vision.nets.detector_net import DetectorNet, build
from vigil.vision.weights import save_weights


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model.toml says beside the weights."""

    name: str
    architecture: str
    input_hw: tuple[int, int]
    score_threshold: tuple[float, ...] = (0.3,) * len(CLASSES)
    nms_iou: float = 0.55
    licence: str = "Apache-2.0 (weights); training pictures: see card.md"
    description: str = ""
    training_data: str = ""

    def keeping(self, manifest: Manifest) -> "ModelFacts":
        """These facts with the thresholds and texts of an earlier model of the name."""
        return replace(
            self,
            score_threshold=manifest.score_threshold,
            nms_iou=manifest.nms_iou,
            licence=manifest.licence,
            description=manifest.description,
            training_data=manifest.training_data,
        )

    def with_thresholds(self, thresholds: tuple[float, ...]) -> "ModelFacts":
        """The same with operating thresholds, of each class, rounded."""
        return replace(self, score_threshold=tuple(round(t, 3) for t in thresholds))


def averaged_net(checkpoint: Path, architecture: str) -> DetectorNet:
    """The moving average that a checkpoint holds: what is evaluated and shipped."""
    net = build(architecture, classes=len(CLASSES))
    average = build(architecture, classes=len(CLASSES))
    load_checkpoint(checkpoint, net=net, average=average, optimiser=None)
    return average.eval()


def write_model(net: DetectorNet, facts: ModelFacts, models_dir: Path) -> Manifest:
    """Write the model's folder and give its manifest, read back."""
    folder = models_dir / facts.name
    sha256 = save_weights(net, folder / "weights.safetensors")
    (folder / "model.toml").write_text(_toml(facts, sha256), encoding="utf-8")
    return load_manifest(facts.name, models_dir=models_dir)


def _toml(facts: ModelFacts, sha256: str) -> str:
    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)  # a JSON string is a TOML basic string

    height, width = facts.input_hw
    return "\n".join(
        [
            f"name = {text(facts.name)}",
            f"architecture = {text(facts.architecture)}",
            'task = "detection"',
            f"classes = {json.dumps(list(CLASSES))}",
            f"input_height_px = {height}",
            f"input_width_px = {width}",
            f"score_threshold = {json.dumps(list(facts.score_threshold))}",
            f"nms_iou = {facts.nms_iou}",
            'weights = "weights.safetensors"',
            f'weights_sha256 = "{sha256}"',
            f"licence = {text(facts.licence)}",
            f"description = {text(facts.description)}",
            f"training_data = {text(facts.training_data)}",
            "",
        ]
    )
