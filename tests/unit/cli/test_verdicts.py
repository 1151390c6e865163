import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.event_pictures import NAME, keep
from tests.support.videos import jpeg
from tests.unit.api.loopback import Site
from tests.unit.api.memory_fleet import an_event
from tests.unit.cli.conftest import Run
from vigil.training.labels import read_truth, read_yolo

OTHER = NAME.replace("-9", "-10")


def episode(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture
async def judged(site: Site, run: Run) -> Run:
    """Three events, the first two with a picture; one found right, one wrong, one unclear."""
    for number, snapshot in enumerate((NAME, OTHER, None)):
        event = an_event(
            event_id=episode(number + 9), episode_id=episode(number), snapshot=snapshot
        )
        await site.outbox.append([event])
    for number, words in enumerate((["correct"], ["wrong", "--note", "=a shadow"], ["unclear"])):
        said = await run("verdicts", "report", episode(number), *words)
        assert said.exit_code == 0, said.output
    return run


async def test_verdicts_are_listed_newest_first(judged: Run) -> None:
    listed = await judged("verdicts", "list", "--json")
    values = [verdict["value"] for verdict in json.loads(listed.stdout)["verdicts"]]
    assert values == ["UNCLEAR", "WRONG", "CORRECT"]
    table = await judged("verdicts", "list", "--stream", "gate", "--type", "zone.enter")
    assert table.output.count("zone.enter") == 3
    assert "a shadow" in table.output
    none = await judged("verdicts", "list", "--stream", "yard", "--json")
    assert json.loads(none.stdout) == {"verdicts": []}


async def test_verdicts_are_exported_with_their_pictures(
    site: Site, judged: Run, tmp_path: Path
) -> None:
    output = tmp_path / "judged"
    for name in (NAME, OTHER):
        await keep(site.pictures, name, jpeg())
    done = await judged("verdicts", "export", "--output", str(output))
    assert done.exit_code == 0, done.output
    assert "3 verdicts" in done.stderr
    assert "2 with a picture" in done.stderr
    with (output / "verdicts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == ["unclear", "wrong", "correct"]
    assert rows[1]["note"] == "'=a shadow", "no formula for a spreadsheet"
    assert [row["image"] for row in rows] == ["", f"{episode(1)}.jpg", f"{episode(0)}.jpg"]
    boxes, classes = read_yolo(output / "labels" / f"{episode(0)}.txt")
    assert np.allclose(boxes, [[0.25, 0.5, 0.5, 1.0]])
    assert classes.tolist() == [0]
    assert (output / "labels" / f"{episode(1)}.txt").read_text() == "", "it was wrong"
    truths = read_truth(output)
    assert [truth.source for truth in truths] == ["gate", "gate"], "as training data are read"
    assert all(not truth.annotated for truth in truths)


async def test_a_picture_that_is_no_longer_kept_leaves_its_row(judged: Run, tmp_path: Path) -> None:
    output = tmp_path / "judged"
    done = await judged("verdicts", "export", "--output", str(output))
    assert done.exit_code == 0, done.output
    assert "0 with a picture" in done.stderr
    assert list((output / "images").iterdir()) == []


async def test_what_cannot_be_done_says_why(judged: Run, tmp_path: Path) -> None:
    (tmp_path / "full").write_text("x")
    full = await judged("verdicts", "export", "--output", str(tmp_path))
    assert (full.exit_code, "is not empty" in full.output) == (1, True)
    unknown = await judged("verdicts", "report", episode(77), "wrong")
    assert (unknown.exit_code, "ListEvents" in unknown.output) == (1, True)
