"""The end of a run: the best epoch, its temperature, its report and its model folder."""

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vigil.data import F32
from vigil.training.classify.baselines import compare
from vigil.training.classify.export import ClassifierFacts, write_classifier
from vigil.training.classify.features import features_of, pixels_of
from vigil.training.classify.insight import activation_maps, first_filters
from vigil.training.classify.judge import F64, Judgement, fit_biases, fit_temperature, judge
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
    calibration: Labelled | None = None,
    test: Labelled | None = None,
    baselines_from: Labelled | None = None,
) -> tuple[dict[str, Any], Manifest]:
    """Calibrate the run's best net, write model and report; gives both.

    The temperature is fitted on the pictures of ``calibration``, or of validation where there are none; if
    the recipe says so, biases of the classes with it, which become the net's.
    ``test`` is judged once, after all was chosen. Baselines learnt from ``baselines_from`` are judged on the
    test pictures too, or on those of validation where there are none.
    """
    net = trainer.best()
    with trainer.autocast():
        logits = logits_of(net, validation.images, device=trainer.device)
    before = judge(logits, validation.labels)
    biases, temperature = _calibrated(trainer, net, calibration or validation)
    logits = logits + biases
    after = judge(logits, validation.labels, temperature=temperature)
    described: dict[str, Any] = report(
        facts.classes, before=before, after=after, temperature=temperature
    )
    if trainer.recipe.fit_biases:
        described["biases"] = [round(float(bias), 4) for bias in biases]
        described["balanced_accuracy_unbiased"] = round(before.balanced_accuracy, 4)
    if test is not None:
        with trainer.autocast():
            asked = logits_of(net, test.images, device=trainer.device)
        held = judge(asked, test.labels, temperature=temperature)
        described["test"] = _told(held)
    if baselines_from is not None:
        described["baselines"] = beside_baselines(net, baselines_from, test or validation)
    pictures = _draw(trainer, net, validation, logits)
    write_report(trainer.folder, facts.name, described, pictures)
    return described, write_classifier(net, facts, after, models_dir)


@torch.no_grad()
def _calibrated(trainer: ClassifierTrainer, net: Classifier, data: Labelled) -> tuple[F64, float]:
    """Give the net its temperature, and biases if the recipe says so; gives both, biases of 0 if not."""
    with trainer.autocast():
        logits = logits_of(net, data.images, device=trainer.device)
    if trainer.recipe.fit_biases:
        biases, temperature = fit_biases(logits, data.labels)
        bias = net.last_layer.bias
        bias.add_(torch.from_numpy(biases).to(bias))
    else:
        biases, temperature = np.zeros(logits.shape[1]), fit_temperature(logits, data.labels)
    net.temperature.fill_(temperature)
    return biases, temperature


def _told(judged: Judgement) -> dict[str, Any]:
    return {
        "accuracy": round(judged.accuracy, 4),
        "balanced_accuracy": round(judged.balanced_accuracy, 4),
        "calibration_error": round(judged.calibration_error, 4),
        "pictures": int(judged.confusion.sum()),
    }


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
