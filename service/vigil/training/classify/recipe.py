"""What a classifier's run does: net, optimiser, schedule, augmentation, when it stops."""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from vigil.errors import VigilError
from vigil.training.classify.initialise import Initialisation

OptimiserName = Literal["sgd", "nesterov", "adam", "adamw"]
ScheduleName = Literal["constant", "step", "cosine"]


class BrokenClassifierRecipe(VigilError):
    """A recipe's file cannot be read, or says what a run cannot do."""

    code = "INVALID_ARGUMENT"


class Augmentation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How pictures are varied; `none` is no variation."""

    zoom: float = 0.0  # up to so much larger or smaller: 0.2 is 1 / 1.2 to 1.2
    partial_chance: float = 0.0  # a part of it, as at the picture's edge or behind something
    stretch: float = 0.0  # the aspect, likewise: a tracker's box is seldom exact
    shift: float = 0.125  # of the side: 4 px of 32
    flip_chance: float = 0.5
    colour_chance: float = 0.5
    colour: float = 0.3
    grey_chance: float = 0.0  # as a camera sees by infrared
    degrade_chance: float = 0.0  # as if from fewer pixels: something far away
    erase_chance: float = 0.25


NO_AUGMENTATION = Augmentation(shift=0.0, flip_chance=0.0, colour_chance=0.0, erase_chance=0.0)


class ClassifierRecipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole run. Kept beside the checkpoint; a resume must name the same."""

    architecture: str
    input_px: int
    epochs: int = 30
    batch: int = 128
    seed: int = 1
    optimiser: OptimiserName = "nesterov"
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4  # L2 for sgd and adam, decoupled for adamw; not of norms and biases
    schedule: ScheduleName = "cosine"
    warmup_epochs: float = 1.0
    step_epochs: int = 10  # of the step schedule: how often the rate falls to a tenth
    initialisation: Initialisation = "he"
    start_from: str = ""  # weights of a trained model: a file
    frozen: tuple[str, ...] = ()  # parts of the net that keep their weights
    dropout: float | None = None  # None: the paper's
    label_smoothing: float = 0.0
    balance: bool = False  # weigh classes by the inverse of their share
    draw_evenly: bool = False  # draw pictures of every class alike often, in place of weighing
    augmentation: Augmentation = Augmentation()
    ema_decay: float = 0.998
    clip_norm: float = 5.0
    keep: Literal["best", "last"] = (
        "best"  # the epoch that is kept; of few pictures, best is by lot
    )
    patience_epochs: int = 0  # stop after so many without a better validation; 0: never
    # at the end, with the temperature: every class alike likely beforehand
    fit_biases: bool = False

    def __post_init__(self) -> None:
        if self.balance and self.draw_evenly:
            raise ValueError("balance and draw_evenly do the same twice; choose one")


def load_classifier_recipe(path: Path) -> ClassifierRecipe:
    """Read a TOML file; keys that are not there have their defaults. Raises BrokenClassifierRecipe."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ClassifierRecipe)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BrokenClassifierRecipe(f"{path}: {error}") from error
