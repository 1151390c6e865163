"""The training loop of classifiers: epochs over pictures in memory, validated, resumable, stopped early.

The moving average of the weights is what is validated and kept. A run on one thread is a function of its
recipe: batches, augmentation and dropout are drawn from the seed and the step.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from vigil.errors import VigilError
from vigil.training.checkpoint import load_checkpoint, save_checkpoint, take_weights
from vigil.training.classify.augment import augmented
from vigil.training.classify.initialise import initialise
from vigil.training.classify.judge import F64, judge
from vigil.training.classify.losses import balancing_weights, classification_loss, own_logits
from vigil.training.classify.optimise import learning_rate, make_optimiser
from vigil.training.classify.recipe import BrokenClassifierRecipe, ClassifierRecipe
from vigil.training.classify.transfer import freeze, hold_norms
from vigil.training.optimise import MovingAverage
from vigil.vision.nets.blocks import channels_last
from vigil.vision.nets.classifier import Classifier, build_classifier

_JUDGE_BATCH = 256


class AnotherRun(VigilError):
    """A run's folder holds a run with another recipe."""

    code = "FAILED_PRECONDITION"


class Diverged(VigilError):
    """The loss is no number any more."""

    code = "FAILED_PRECONDITION"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures in memory and what they show."""

    images: NDArray[np.uint8]  # (N, S, S, 3) BGR
    labels: NDArray[np.int64]  # (N,)


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of a run's log."""

    epoch: int
    step: int
    learning_rate: float
    loss: float  # mean of the epoch, with augmentation
    val_loss: float
    val_accuracy: float
    val_balanced_accuracy: float
    cpu_s: float = (
        0.0  # of this process, validation included; an interrupted epoch's first part is not
    )


class ClassifierTrainer:
    """One run in one folder: net, average, optimiser, and the step that they have reached."""

    def __init__(
        self,
        recipe: ClassifierRecipe,
        classes: tuple[str, ...],
        folder: Path,
        *,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        self.recipe = recipe
        self.classes = classes
        self.folder = folder
        self.device = torch.device(device)
        self.precision = precision
        torch.manual_seed(recipe.seed)
        net = build_classifier(
            recipe.architecture,
            classes=len(classes),
            input_px=recipe.input_px,
            dropout=recipe.dropout,
        )
        initialise(net, recipe.initialisation)
        if recipe.start_from:
            take_weights(net, Path(recipe.start_from))
        freeze(net, recipe.frozen)
        if recipe.fit_biases and net.last_layer.bias is None:
            raise BrokenClassifierRecipe(
                f"the last layer of {recipe.architecture} has no biases that could be fitted: leave "
                "fit_biases out, or take another net"
            )
        # channels last: of 160 px pictures a third less time on a core with AVX512-BF16
        self.net: Classifier = channels_last(net.to(self.device))
        self.average = MovingAverage(self.net, decay=recipe.ema_decay)
        self.optimiser = make_optimiser(self.net, recipe)
        self.step = 0
        self.history: list[Epoch] = []
        self._losses: list[float] = []
        self._epoch_began_cpu_s = time.process_time()

    def resume(self) -> bool:
        """Take up the folder's run, if there is one. Raises AnotherRun where it had another recipe."""
        checkpoint = self.folder / "checkpoint.safetensors"
        if not checkpoint.is_file():
            return False
        if self._recipe_of_run() != (self.recipe, self.classes):
            raise AnotherRun(
                f"{self.folder} holds a run with another recipe or other classes; "
                "name a new folder, or remove that run"
            )
        self.step = load_checkpoint(
            checkpoint, net=self.net, average=self.average.net, optimiser=self.optimiser
        )
        rows = (self.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        epochs = [msgspec.json.decode(row, type=Epoch) for row in rows]
        self.history = [epoch for epoch in epochs if epoch.step <= self.step]
        return True

    def run(
        self,
        training: Labelled,
        validation: Labelled,
        *,
        stopping: Callable[[], bool] = lambda: False,
        show: Callable[[int, int, float], None] | None = None,
    ) -> bool:
        """Train to the recipe's end or until validation gets no better; gives whether it came so far.

        Where ``stopping`` says so, it ends within a step, saved, and gives False. ``show`` is given step,
        steps in all and loss. Raises Diverged.
        """
        self._begin()
        self._epoch_began_cpu_s = time.process_time()
        per_epoch = max(1, len(training.labels) // self.recipe.batch)
        total = per_epoch * self.recipe.epochs
        while self.step < total and not self._tired():
            if stopping():
                self._save()
                return False
            loss = self._learn(training, per_epoch)
            self.step += 1
            self._losses.append(loss)
            if show is not None:
                show(self.step, total, loss)
            if self.step % per_epoch == 0:
                self._end_epoch(validation, per_epoch)
        return True

    def best(self) -> Classifier:
        """The average of the epoch that did best in validation, or of the last, in evaluation mode."""
        net = copy.deepcopy(self.average.net)
        assert isinstance(net, Classifier)
        net.load_state_dict(load_file(self.folder / "best.safetensors", device=str(self.device)))
        return net.eval()

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.step == 0:
            (self.folder / "recipe.json").write_bytes(self._recipe_json())
            (self.folder / "log.jsonl").write_text("", encoding="utf-8")
            self._save()

    def _learn(self, data: Labelled, per_epoch: int) -> float:
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.step)  # dropout's masks
        images, labels = self._batch(data, per_epoch)
        rate = learning_rate(self.recipe, self.step, steps_per_epoch=per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.net.train()
        hold_norms(self.net, self.recipe.frozen)
        with self.autocast():
            outputs = self.net(images)
        loss = classification_loss(
            outputs,
            labels,
            class_weights=self._class_weights(data),
            label_smoothing=self.recipe.label_smoothing,
        )
        value = float(loss.detach())
        if not math.isfinite(value):
            raise Diverged(
                f"the loss is {value} at step {self.step}: begin again in a new folder with a lower rate, "
                f"a longer warm-up or another optimiser (the rate was {rate:.2g})"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip_norm)
        self.optimiser.step()
        self.average.update(self.net, self.step)
        return value

    def _batch(self, data: Labelled, per_epoch: int) -> tuple[Tensor, Tensor]:
        """The step's pictures (B, 3, S, S) uint8, varied, and labels (B,)."""
        epoch, number = divmod(self.step, per_epoch)
        rng = np.random.default_rng([self.recipe.seed, epoch])
        order = epoch_order(data.labels, rng, evenly=self.recipe.draw_evenly)
        chosen = order[number * self.recipe.batch : (number + 1) * self.recipe.batch]
        rng = np.random.default_rng([self.recipe.seed, epoch, number])
        images = np.stack(
            [augmented(data.images[i], self.recipe.augmentation, rng) for i in chosen]
        )
        labels = torch.from_numpy(data.labels[chosen]).to(self.device)
        return torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device), labels

    def _class_weights(self, data: Labelled) -> Tensor | None:
        if not self.recipe.balance:
            return None
        return balancing_weights(data.labels, classes=len(self.classes)).to(self.device)

    def _end_epoch(self, validation: Labelled, per_epoch: int) -> None:
        with self.autocast():
            logits = logits_of(self.average.net, validation.images, device=self.device)
        judged = judge(logits, validation.labels)
        row = Epoch(
            epoch=self.step // per_epoch,
            step=self.step,
            learning_rate=self.optimiser.param_groups[0]["lr"],
            loss=float(np.mean(self._losses)),
            val_loss=judged.log_loss,
            val_accuracy=judged.accuracy,
            val_balanced_accuracy=judged.balanced_accuracy,
            cpu_s=time.process_time() - self._epoch_began_cpu_s,
        )
        self._epoch_began_cpu_s = time.process_time()
        self._losses.clear()
        if self.recipe.keep == "last" or row.val_balanced_accuracy > self._best_so_far():
            partial = self.folder / "best.partial"
            save_file(_contiguous(self.average.net.state_dict()), partial)
            partial.replace(self.folder / "best.safetensors")
        self.history.append(row)
        rows = "".join(msgspec.json.encode(epoch).decode() + "\n" for epoch in self.history)
        (self.folder / "log.jsonl").write_text(rows, encoding="utf-8")
        self._save()

    def _best_so_far(self) -> float:
        return max((epoch.val_balanced_accuracy for epoch in self.history), default=-1.0)

    def _tired(self) -> bool:
        """Whether so many epochs as the recipe is patient brought nothing better."""
        patience = self.recipe.patience_epochs
        if patience == 0 or len(self.history) <= patience:
            return False
        recent = max(epoch.val_balanced_accuracy for epoch in self.history[-patience:])
        return recent <= max(epoch.val_balanced_accuracy for epoch in self.history[:-patience])

    def _save(self) -> None:
        save_checkpoint(
            self.folder / "checkpoint.safetensors",
            net=self.net,
            average=self.average.net,
            optimiser=self.optimiser,
            step=self.step,
        )

    def autocast(self) -> torch.autocast:
        """The context that nets are run in, of the run's precision."""
        mixed = self.precision != "float32"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed)

    def _recipe_of_run(self) -> tuple[ClassifierRecipe, tuple[str, ...]]:
        """The folder's; what an older version did not know has its default."""
        described = msgspec.json.decode((self.folder / "recipe.json").read_bytes())
        recipe = msgspec.convert(described["recipe"], ClassifierRecipe)
        return recipe, tuple(described["classes"])

    def _recipe_json(self) -> bytes:
        described = {"recipe": msgspec.to_builtins(self.recipe), "classes": self.classes}
        return json.dumps(described, indent=2).encode()


def epoch_order(
    labels: NDArray[np.int64], rng: np.random.Generator, *, evenly: bool
) -> NDArray[np.int64]:
    """The pictures of an epoch by index: each one once, or of each class alike many, its pictures in turn."""
    if not evenly:
        return rng.permutation(len(labels))
    present = np.unique(labels)
    each = -(-len(labels) // len(present))
    drawn = []
    for label in present:
        of_class = np.flatnonzero(labels == label)
        rounds = -(-each // len(of_class))
        drawn.append(np.concatenate([rng.permutation(of_class) for _ in range(rounds)])[:each])
    return rng.permutation(np.concatenate(drawn))


def logits_of(
    net: torch.nn.Module, images: NDArray[np.uint8], *, device: torch.device | str = "cpu"
) -> F64:
    """The logits (N, classes) of pictures (N, S, S, 3) uint8 BGR, by a net in evaluation mode."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), _JUDGE_BATCH):
            batch = torch.from_numpy(images[start : start + _JUDGE_BATCH]).permute(0, 3, 1, 2)
            parts.append(own_logits(net(batch.to(device))).double().cpu().numpy())
    return np.concatenate(parts)


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
