"""The family on one data set: every net's recipe for pictures of 32×32, as for CIFAR-10."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from vigil.training.classify.baselines import BASELINES, Settings, accuracy, standardised
from vigil.training.classify.export import ClassifierFacts
from vigil.training.classify.features import pixels_of
from vigil.training.classify.finish import finish
from vigil.training.classify.loop import ClassifierTrainer, Labelled
from vigil.training.classify.recipe import Augmentation, ClassifierRecipe
from vigil.vision.describe import describe_classifier

INPUT_PX = 32
# Shifts and mirroring as in arXiv:1512.03385, section 4.2, and random erasing (arXiv:1708.04896); colours
# tell these classes apart, and stay as they are.
_VARIED = Augmentation(colour_chance=0.0)
_LITTLE = Augmentation(colour_chance=0.0, erase_chance=0.0)  # where few epochs are the limit

# Learning rates are what is usual for such a net; the epochs are what some ten minutes of one core are
# enough for; half an hour for ResNet-9, which is to show what such a net can do.
RECIPES = {
    recipe.architecture: recipe
    for recipe in (
        ClassifierRecipe(
            architecture="lenet5",
            input_px=INPUT_PX,
            epochs=20,
            learning_rate=0.02,
            weight_decay=1e-4,
            initialisation="xavier",
            ema_decay=0.995,
            augmentation=_LITTLE,
        ),
        ClassifierRecipe(
            architecture="alexnet",
            input_px=INPUT_PX,
            epochs=4,
            learning_rate=0.01,
            ema_decay=0.99,
            augmentation=_LITTLE,
        ),
        ClassifierRecipe(
            architecture="vgg11",
            input_px=INPUT_PX,
            epochs=6,
            label_smoothing=0.1,
            ema_decay=0.99,
            augmentation=_LITTLE,
        ),
        ClassifierRecipe(
            architecture="googlenet",
            input_px=INPUT_PX,
            epochs=3,
            label_smoothing=0.1,
            ema_decay=0.99,
            augmentation=_LITTLE,
        ),
        ClassifierRecipe(
            architecture="resnet9",
            input_px=INPUT_PX,
            epochs=30,
            learning_rate=0.1,
            warmup_epochs=3.0,
            label_smoothing=0.1,
            ema_decay=0.995,
            augmentation=_VARIED,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Row:
    """One classifier in the table; what is judged was in no decision of its making."""

    name: str
    accuracy: float
    cpu_s: float  # of learning, and of a baseline's answers
    parameters: int
    epochs: int = 0
    multiply_adds: int = 0  # of one picture
    calibration_error: float | None = None


class Pictures(NamedTuple):
    """The three parts of the data set, as pixels."""

    training: Labelled
    validation: Labelled
    test: Labelled


def train_net(
    name: str,
    recipe: ClassifierRecipe,
    classes: tuple[str, ...],
    pictures: Pictures,
    folder: Path,
    *,
    precision: str,
    stopping: Callable[[], bool],
    show: Callable[[int, int, float], None],
) -> Row | None:
    """Train a net, or go on from where its run in ``folder`` stands; None where it was stopped.

    Its model goes to the folder ``models`` beside its run. Raises AnotherRun, Diverged.
    """
    trainer = ClassifierTrainer(recipe, classes, folder / name, precision=precision)
    known = trainer.folder / "row.json"
    if trainer.resume() and known.is_file():
        return msgspec.json.decode(known.read_bytes(), type=Row)
    if not trainer.run(pictures.training, pictures.validation, stopping=stopping, show=show):
        return None
    facts = ClassifierFacts(
        name=name,
        architecture=recipe.architecture,
        classes=classes,
        input_px=recipe.input_px,
        training_data=f"{len(pictures.training.labels)} pictures",
    )
    described, _ = finish(
        trainer, pictures.validation, facts, folder / "models", test=pictures.test
    )
    table = describe_classifier(recipe.architecture, classes=len(classes), input_px=recipe.input_px)
    row = Row(
        name=name,
        accuracy=described["test"]["accuracy"],
        cpu_s=sum(epoch.cpu_s for epoch in trainer.history),
        parameters=table.parameters,
        epochs=len(trainer.history),
        multiply_adds=table.multiply_adds,
        calibration_error=described["test"]["calibration_error"],
    )
    known.write_bytes(msgspec.json.encode(row))
    return row


def baseline_rows(pictures: Pictures, folder: Path) -> list[Row]:
    """The baselines on pixels, as they are: neither shifted nor mirrored. Fitted once a folder."""
    path = folder / "baselines.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(_fit_baselines(pictures)))
    return msgspec.json.decode(path.read_bytes(), type=list[Row])


def _fit_baselines(pictures: Pictures) -> list[Row]:
    known, asked = standardised(
        pixels_of(pictures.training.images), pixels_of(pictures.test.images)
    )
    rows = []
    for name, answer in BASELINES.items():
        began_s = time.process_time()
        answers = answer(known, pictures.training.labels, asked, Settings())
        spent_s = time.process_time() - began_s
        weights = (
            known.size if answer is BASELINES["nearest_neighbours"] else _linear_size(pictures)
        )
        rows.append(
            Row(
                name=name.replace("_", " "),
                accuracy=accuracy(answers, pictures.test.labels),
                cpu_s=spent_s,
                parameters=weights,
            )
        )
    return rows


def _linear_size(pictures: Pictures) -> int:
    classes = int(pictures.training.labels.max()) + 1
    return int(pictures.training.images[0].size + 1) * classes
