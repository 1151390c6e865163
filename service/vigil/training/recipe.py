"""What a training run does: data, net, stages. Read from a TOML file; kept beside the checkpoint."""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from vigil.training.augment import AugmentPolicy
from vigil.training.labels import UnusableDataSet


class DataSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One folder of training pictures and the share of canvases that it fills."""

    path: str
    share: float = 1.0


class TeacherChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model whose dense answers are taught, too, our own or imported: which classes, what weight."""

    model: str
    models_dir: str
    classes: tuple[str, ...]
    weight: float = 1.0
    least_score: float = 0.05  # cells of less are left to the labels


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some steps on canvases of some shapes. The learning rate goes by a cosine between its ends.

    Batches that repeat cost the teacher's time once.
    """

    name: str
    steps: int
    shapes_hw: tuple[tuple[int, int], ...]
    pixels_per_batch: int
    learning_rate: float
    final_learning_rate: float
    warmup_steps: int = 0
    mosaic_chance: float = 0.4
    fit_chance: float = 0.3
    scale_low: float = 0.4
    scale_high: float = 1.4
    repeat: int = 0  # so many batches again and again; 0: each is new
    teach: bool = True  # by the recipe's teacher, if it has one
    degrade: float = 1.0  # factor on the chances of colour, grey, blur, noise and compression

    def policy(self, test_hw: tuple[int, int]) -> AugmentPolicy:
        """The stage's augmentation."""
        plain = AugmentPolicy()
        return AugmentPolicy(
            test_hw=test_hw,
            scale_low=self.scale_low,
            scale_high=self.scale_high,
            fit_chance=self.fit_chance,
            mosaic_chance=self.mosaic_chance,
            colour_chance=plain.colour_chance * self.degrade,
            grey_chance=plain.grey_chance * self.degrade,
            blur_chance=plain.blur_chance * self.degrade,
            noise_chance=plain.noise_chance * self.degrade,
            jpeg_chance=plain.jpeg_chance * self.degrade,
        )


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole run. Stages that are done may not be changed; later ones may, before a resume."""

    architecture: str
    data: tuple[DataSet, ...]
    stages: tuple[Stage, ...]
    seed: int = 1
    test_hw: tuple[int, int] = (320, 512)
    optimiser: Literal["adamw", "muon"] = "adamw"
    weight_decay: float = 0.05
    ema_decay: float = 0.9995
    clip_norm: float = 10.0
    source_weights: dict[str, float] = {}
    rights: tuple[str, ...] = ()
    positive_p: float = 0.4
    ignore_p: float = 0.12
    teacher: TeacherChoice | None = None
    grown_from: str = ""  # a smaller detector's model folder: the run begins where it stands

    backbone_from: str = (
        ""  # a classifier's weights or folder: what fits of it is where the run begins
    )

    @property
    def total_steps(self) -> int:
        """Steps of all stages together."""
        return sum(stage.steps for stage in self.stages)

    def with_rights(self, rights: tuple[str, ...]) -> "Recipe":
        """The same recipe on pictures of these rights only."""
        return msgspec.structs.replace(self, rights=rights)

    def stage_at(self, step: int) -> tuple[int, int]:
        """The index of the stage that a step belongs to, and the step's number within it."""
        for index, stage in enumerate(self.stages):
            if step < stage.steps:
                return index, step
            step -= stage.steps
        raise IndexError("past the last stage")


def load_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file. Raises UnusableDataSet with the place of what cannot be used."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Recipe)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UnusableDataSet(f"{path}: {error}") from error
