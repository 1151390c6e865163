"""The end of a run: the best epoch, its temperature, its report and its model folder."""

from pathlib import Path
from typing import Any

from vigil.training.classify.export import ClassifierFacts, write_classifier
from vigil.training.classify.judge import fit_temperature, judge
from vigil.training.classify.loop import ClassifierTrainer, Labelled, logits_of
from vigil.training.classify.report import report, write_report
from vigil.vision.manifest import Manifest


def finish(
    trainer: ClassifierTrainer, validation: Labelled, facts: ClassifierFacts, models_dir: Path
) -> tuple[dict[str, Any], Manifest]:
    """Calibrate the run's best net on the validation pictures, write model and report; gives both."""
    net = trainer.best()
    logits = logits_of(net, validation.images, device=trainer.device)
    temperature = fit_temperature(logits, validation.labels)
    net.temperature.fill_(temperature)
    after = judge(logits, validation.labels, temperature=temperature)
    described = report(
        facts.classes,
        before=judge(logits, validation.labels),
        after=after,
        temperature=temperature,
    )
    write_report(trainer.folder / "report.json", described)
    return described, write_classifier(net, facts, after, models_dir)
