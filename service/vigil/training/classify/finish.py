"""The end of a run: the best epoch, its temperature, its report and its model folder."""

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.data import F32
from vigil.training.classify.baselines import compare
from vigil.training.classify.export import ClassifierFacts, write_classifier
from vigil.training.classify.features import features_of, pixels_of
from vigil.training.classify.insight import activation_maps, first_filters
from vigil.training.classify.judge import F64, fit_temperature, judge
from vigil.training.classify.loop import ClassifierTrainer, Labelled, logits_of
from vigil.training.classify.report import report, write_report
from vigil.vision.manifest import Manifest
from vigil.vision.nets.classifier import Classifier


def finish(
    trainer: ClassifierTrainer,
    validation: Labelled,
    facts: ClassifierFacts,
    models_dir: Path,
    *,
    test: Labelled | None = None,
    baselines_from: Labelled | None = None,
) -> tuple[dict[str, Any], Manifest]:
    """Calibrate the run's best net on the validation pictures, write model and report; gives both.

    ``test`` is judged once, after all was chosen. Baselines learnt from ``baselines_from`` are judged on the
    test pictures too, or on those of validation where there are none.
    """
    net = trainer.best()
    with trainer.autocast():
        logits = logits_of(net, validation.images, device=trainer.device)
    temperature = fit_temperature(logits, validation.labels)
    net.temperature.fill_(temperature)
    after = judge(logits, validation.labels, temperature=temperature)
    described: dict[str, Any] = report(
        facts.classes,
        before=judge(logits, validation.labels),
        after=after,
        temperature=temperature,
    )
    if test is not None:
        with trainer.autocast():
            asked = logits_of(net, test.images, device=trainer.device)
        held = judge(asked, test.labels, temperature=temperature)
        described["test"] = {
            "accuracy": round(held.accuracy, 4),
            "balanced_accuracy": round(held.balanced_accuracy, 4),
            "calibration_error": round(held.calibration_error, 4),
            "pictures": len(test.labels),
        }
    if baselines_from is not None:
        described["baselines"] = beside_baselines(net, baselines_from, test or validation)
    pictures = _draw(trainer, net, validation, logits)
    write_report(trainer.folder, facts.name, described, pictures)
    return described, write_classifier(net, facts, after, models_dir)


def _draw(
    trainer: ClassifierTrainer, net: Classifier, validation: Labelled, logits: F64
) -> list[Path]:
    """The report's pictures; curves and the like where matplotlib is installed."""
    folder = trainer.folder / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    if importlib.util.find_spec("matplotlib") is not None:
        from vigil.training.classify.plots import write_plots  # matplotlib takes half a second

        paths += write_plots(
            folder,
            history=trainer.history,
            classes=trainer.classes,
            data=validation,
            logits=logits,
            temperature=float(net.temperature),
        )
    example = validation.images[int((logits.argmax(axis=1) == validation.labels).argmax())]
    for name, sheet in (
        ("filters", first_filters(net)),
        ("activations", activation_maps(net, example, device=trainer.device)),
    ):
        paths.append(folder / f"{name}.png")
        cv2.imwrite(str(paths[-1]), sheet)
    return paths


def beside_baselines(
    net: Classifier, training: Labelled, asked: Labelled
) -> dict[str, dict[str, float]]:
    """The accuracy of the baselines on the same pictures, from pixels and from the net's features."""
    device = net.temperature.device

    def features(images: NDArray[np.uint8]) -> F32:
        return features_of(net, images, device=device)

    return {
        name: compare((of(training.images), training.labels), (of(asked.images), asked.labels))
        for name, of in (("pixels", pixels_of), ("features", features))
    }
