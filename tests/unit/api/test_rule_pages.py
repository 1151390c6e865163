"""docs/rules speaks of parameters by the names that a client writes."""

import json
import re
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict

from vigil.api.rule_reader import rule_from_message
from vigil.spec import LoiteringRule, StationaryRule
from vigil.spec.rule_checks import rule_violations
from vigil.v1 import rules_pb2

PAGES = Path(__file__).parents[3] / "docs" / "rules"
KINDS = {
    field.name: {parameter.name for parameter in field.message_type.fields}
    for field in rules_pb2.Rule.DESCRIPTOR.oneofs[0].fields
    if field.message_type is not None
}
COMMON = {"classes", "min_score", "voted"}


def parameters(page: str) -> set[str]:
    """The names in the first column of a page's table of parameters."""
    table = re.search(r"\| parameter \|.*\n\|[-| ]+\n((?:\|.*\n)+)", page)
    rows = table[1].splitlines() if table else []
    return {name for row in rows for name in re.findall(r"`([a-z_]+)[`.]", row.split("|")[1])}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_page_names_all_parameters_and_no_others(kind: str) -> None:
    assert parameters((PAGES / f"{kind}.md").read_text()) - COMMON == KINDS[kind]


def examples(page: Path) -> list[rules_pb2.Rule]:
    """The rules of a page's blocks of JSON."""
    texts = re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
    return [ParseDict(rule, rules_pb2.Rule()) for text in texts for rule in json.loads(text)]


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_examples_can_be_sent_as_they_are(page: Path) -> None:
    for message in examples(page):
        rule = rule_from_message("rules[0]", message)
        assert list(rule_violations("rules[0]", rule)) == []


def test_the_first_example_says_what_its_page_says() -> None:
    messages = examples(PAGES / "README.md")
    loitering, stationary = (rule_from_message("rules", message) for message in messages)
    assert isinstance(loitering, LoiteringRule)
    assert isinstance(stationary, StationaryRule)
    assert (loitering.duration_s, stationary.duration_s) == (20.0, 30.0)
