"""From a trained classifier to a model folder: model.toml, weights.safetensors and card.md."""

import json
from dataclasses import dataclass
from pathlib import Path

from vigil.training.classify.judge import Judgement
from vigil.vision.manifest import Manifest, load_manifest
from vigil.vision.nets.classifier import Classifier
from vigil.vision.weights import save_weights


@dataclass(frozen=True, slots=True)
class ClassifierFacts:
    """What a classifier's model.toml says beside the weights."""

    name: str
    architecture: str
    classes: tuple[str, ...]
    input_px: int
    training_data: str
    licence: str = "not stated"
    description: str = ""


def write_classifier(
    net: Classifier, facts: ClassifierFacts, judged: Judgement, models_dir: Path
) -> Manifest:
    """Write the model's folder and give its manifest, read back. The temperature is in the weights."""
    folder = models_dir / facts.name
    sha256 = save_weights(net, folder / "weights.safetensors")
    (folder / "model.toml").write_text(_toml(facts, sha256), encoding="utf-8")
    (folder / "card.md").write_text(_card(facts, judged), encoding="utf-8")
    return load_manifest(facts.name, models_dir=models_dir)


def _toml(facts: ClassifierFacts, sha256: str) -> str:
    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)  # a JSON string is a TOML basic string

    return "\n".join(
        [
            f"name = {text(facts.name)}",
            f"architecture = {text(facts.architecture)}",
            'task = "classification"',
            f"classes = {json.dumps(list(facts.classes), ensure_ascii=False)}",
            f"input_height_px = {facts.input_px}",
            f"input_width_px = {facts.input_px}",
            f"score_threshold = {json.dumps([0.0] * len(facts.classes))}",
            "nms_iou = 1.0  # a classifier suppresses nothing; every manifest has the key",
            'weights = "weights.safetensors"',
            f'weights_sha256 = "{sha256}"',
            f"licence = {text(facts.licence)}",
            f"description = {text(facts.description)}",
            f"training_data = {text(facts.training_data)}",
            "",
        ]
    )


def _card(facts: ClassifierFacts, judged: Judgement) -> str:
    rows = "\n".join(
        f"| {label} | {recall:.3f} | {count} |"
        for label, recall, count in zip(
            facts.classes, judged.recalls, judged.confusion.sum(axis=1), strict=True
        )
    )
    return (
        f"# {facts.name}\n\n"
        f"{facts.architecture} at {facts.input_px}×{facts.input_px}, trained on {facts.training_data}.\n\n"
        "On its own validation pictures, by which the best epoch was chosen and the temperature fitted: "
        f"accuracy {judged.accuracy:.3f}, balanced {judged.balanced_accuracy:.3f}, log loss "
        f"{judged.log_loss:.3f}, calibration error {judged.calibration_error:.3f}.\n\n"
        f"| class | recall | pictures |\n|---|---|---|\n{rows}\n"
    )
