"""The training loop: the stages of a recipe, step after step, with checkpoints that resume.

One or more workers, each a thread with a copy of the net and one core: a worker takes the weights, draws
a batch, works out its gradients and hands them in; whoever hands in moves the weights. With one worker a
run is a function of its recipe, bit for bit in float32. With more, gradients are a step or so old when
they are used (asynchronous SGD): no worker waits for another, so a core that something else needs costs
only its own share. Two threads in each operation, waiting for each other hundreds of times a step, fell
from 400 to 22 pictures a second beside two busy processes.
"""

import copy
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
import torch
from torch import Tensor

from vigil.training.batches import Batch, CanvasPlan, Source, make_batch
from vigil.training.cache import open_cache
from vigil.training.checkpoint import load_checkpoint, save_checkpoint, take_weights
from vigil.training.grow import grow
from vigil.training.labels import CLASSES, LabelPolicy, read_pictures
from vigil.training.losses import Losses, detection_loss, lesson_loss
from vigil.training.optimise import MovingAverage, learning_rate, make_optimiser
from vigil.training.recipe import Recipe
from vigil.training.teacher import Lessons, Teacher
from vigil.training.watch import Progress, Watch
from vigil.vision.manifest import load_manifest
from vigil.vision.nets.blocks import channels_last
from vigil.vision.nets.detector_net import Cells, DetectorNet, build, cells
from vigil.vision.weights import load_net

_LOG_EVERY_STEPS = 50


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where a run keeps its files, and where decoded pictures lie."""

    folder: Path
    cache_folder: Path

    @property
    def checkpoint(self) -> Path:
        """The latest state."""
        return self.folder / "checkpoint.safetensors"

    @property
    def log(self) -> Path:
        """One JSON object a line."""
        return self.folder / "log.jsonl"


@dataclass(frozen=True, slots=True)
class Settings:
    """On what a run is done; the recipe says what."""

    device: str = "cpu"
    precision: str = "bfloat16"
    workers: int = 1


class Trainer:
    """One run: net, average, optimiser, and the step that they have reached."""

    def __init__(self, recipe: Recipe, place: RunPlace, settings: Settings | None = None) -> None:
        self.recipe = recipe
        self.place = place
        self.settings = settings if settings is not None else Settings()
        self.device = torch.device(self.settings.device)
        torch.manual_seed(recipe.seed)
        net = build(recipe.architecture, classes=len(CLASSES))
        if recipe.grown_from:
            small = Path(recipe.grown_from)
            grow(net, load_net(load_manifest(small.name, models_dir=small.parent)))
        if recipe.backbone_from:
            take_weights(net, Path(recipe.backbone_from))
        # Contiguous, as its gradients and their moments: the fused optimiser walks memory, not
        # elements, and mixes up layouts that differ. The workers' replicas are channels last.
        self.net: DetectorNet = net.to(self.device)
        self.average = MovingAverage(self.net, decay=recipe.ema_decay)
        self.optimiser = make_optimiser(self.net, recipe)
        self.step = 0
        self._teacher = Teacher(recipe.teacher) if recipe.teacher is not None else None
        self._turn = threading.Lock()  # guards everything above and the log
        self._cells: dict[tuple[int, int], Cells] = {}

    def resume(self) -> bool:
        """Take up the run's latest checkpoint, if there is one."""
        if not self.place.checkpoint.is_file():
            return False
        self.step = load_checkpoint(
            self.place.checkpoint,
            net=self.net,
            average=self.average.net,
            optimiser=self.optimiser,
        )
        return True

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(
            self.place.checkpoint,
            net=self.net,
            average=self.average.net,
            optimiser=self.optimiser,
            step=self.step,
        )

    def run(
        self,
        source: Source,
        *,
        stopping: Callable[[], bool] = lambda: False,
        show: Callable[[Progress], None] | None = None,
        last_step: int | None = None,
    ) -> None:
        """Train to ``last_step`` or the recipe's end, or until ``stopping`` says so; then save.

        Raises what a worker raised.
        """
        self.place.folder.mkdir(parents=True, exist_ok=True)
        last = self.recipe.total_steps if last_step is None else last_step
        watch = Watch(first_step=self.step, total_steps=last)
        failures: list[Exception] = []
        with self.place.log.open("a", encoding="utf-8") as log:
            schedule = _Schedule(self.step, last, lambda: stopping() or bool(failures))

            def work() -> None:
                try:
                    self._work(source, schedule, watch=watch, log=log, show=show)
                except Exception as error:  # run raises it, once the other workers have stopped
                    failures.append(error)

            threads = [threading.Thread(target=work) for _ in range(self.settings.workers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        self.save()

    def _work(
        self,
        source: Source,
        schedule: "_Schedule",
        *,
        watch: Watch,
        log: TextIO,
        show: Callable[[Progress], None] | None,
    ) -> None:
        replica = channels_last(copy.deepcopy(self.net))
        while (step := schedule.take()) is not None:
            batch = self.batch(source, step)
            losses, gradients = self.gradients(replica, batch, self._lessons(batch, step))
            with self._turn:
                self._move(replica, gradients)
                watch.count(len(batch.images))
                if self.step % _LOG_EVERY_STEPS == 0:
                    self._report(losses, watch, log, show)
                if watch.checkpoint_due():
                    self.save()

    def batch(self, source: Source, step: int) -> Batch:
        """The batch of a step of the run."""
        index, local = self.recipe.stage_at(step)
        stage = self.recipe.stages[index]
        plan = CanvasPlan(
            shapes_hw=stage.shapes_hw,
            pixels_per_batch=stage.pixels_per_batch,
            policy=stage.policy(self.recipe.test_hw),
            seed=self.recipe.seed * 1000 + index,
        )
        return make_batch(source, plan, local % stage.repeat if stage.repeat else local)

    def _lessons(self, batch: Batch, step: int) -> Lessons | None:
        index, local = self.recipe.stage_at(step)
        stage = self.recipe.stages[index]
        if self._teacher is None or not stage.teach:
            return None
        again = (index, local % stage.repeat) if stage.repeat else None
        return self._teacher.lessons(batch.images, again)

    def gradients(
        self, replica: DetectorNet, batch: Batch, lessons: Lessons | None = None
    ) -> tuple[Losses, list[Tensor]]:
        """The loss of a batch under the present weights, and its gradients; moves nothing."""
        with self._turn, torch.no_grad():
            replica.load_state_dict(self.net.state_dict())
        replica.train()
        images = batch.images.to(self.device).permute(0, 3, 1, 2)
        precision = self.settings.precision
        with torch.autocast(
            self.device.type, dtype=getattr(torch, precision), enabled=precision != "float32"
        ):
            predictions = replica(images)
        height, width = batch.images.shape[1:3]
        targets = batch.targets.to(self.device)
        places = self._cells_of(height, width)
        losses = detection_loss(predictions, places, targets)
        total = losses.total
        if lessons is not None and self._teacher is not None:
            here = Lessons(*(part.to(self.device) for part in lessons))
            taught = lesson_loss(predictions, places, here, self._teacher.class_ids)
            total = total + self._teacher.weight * taught
        gradients = torch.autograd.grad(total, list(replica.parameters()))
        return losses, list(gradients)

    def _move(self, replica: DetectorNet, gradients: list[Tensor]) -> None:
        """Use gradients: move the weights, the norms' statistics and the average by one step."""
        index, local = self.recipe.stage_at(min(self.step, self.recipe.total_steps - 1))
        rate = learning_rate(self.recipe.stages[index], local)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        for parameter, gradient in zip(self.net.parameters(), gradients, strict=True):
            parameter.grad = gradient.contiguous()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip_norm)
        self.optimiser.step()
        with torch.no_grad():
            for mine, theirs in zip(self.net.buffers(), replica.buffers(), strict=True):
                mine.copy_(theirs)
        self.average.update(self.net, self.step)
        self.step += 1

    def _cells_of(self, height: int, width: int) -> Cells:
        if (height, width) not in self._cells:
            self._cells[height, width] = cells(height, width, device=self.device)
        return self._cells[height, width]

    def _report(
        self,
        losses: Losses,
        watch: Watch,
        log: TextIO,
        show: Callable[[Progress], None] | None,
    ) -> None:
        index, _ = self.recipe.stage_at(self.step - 1)
        stage = self.recipe.stages[index].name
        progress = watch.progress(self.step, stage, float(losses.total.detach()))
        row = {
            "step": self.step,
            "stage": stage,
            "loss": round(progress.loss, 4),
            "classes": round(float(losses.classes), 4),
            "boxes": round(float(losses.boxes), 4),
            "pairs": losses.pairs,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "images_per_s": round(progress.images_per_s, 1),
            "images_per_cpu_s": round(progress.images_per_cpu_s, 1),
            "time": round(time.time()),
        }
        log.write(json.dumps(row) + "\n")
        log.flush()
        if show is not None:
            show(progress)


class _Schedule:
    """Hands each step out once, to whichever worker asks."""

    def __init__(self, first: int, last: int, stopping: Callable[[], bool]) -> None:
        self._next = first
        self._last = last
        self._stopping = stopping
        self._lock = threading.Lock()

    def take(self) -> int | None:
        """The next step; None at the end or when the run is to stop."""
        with self._lock:
            if self._next >= self._last or self._stopping():
                return None
            self._next += 1
            return self._next - 1


def use_one_thread_each() -> None:
    """Keep torch from threading within an operation: parallelism comes from the workers.

    For the whole process, before a Trainer is made.
    """
    torch.set_num_threads(1)


def open_source(recipe: Recipe, place: RunPlace) -> Source:
    """The recipe's pictures, decoded and mapped, and how often each is drawn."""
    cv2.setNumThreads(1)
    policy = LabelPolicy(
        positive_p=recipe.positive_p, ignore_p=recipe.ignore_p, rights=recipe.rights
    )
    pictures, chances, caches = [], [], []
    for data in recipe.data:
        found = read_pictures(Path(data.path), policy)
        weights = np.array([recipe.source_weights.get(p.source, 1.0) for p in found])
        pictures.extend(found)
        chances.append(data.share * weights / weights.sum())
        caches.append(open_cache(found, place.cache_folder))
    chance = np.concatenate(chances)
    return Source(pictures=pictures, caches=tuple(caches), chance=chance / chance.sum())
