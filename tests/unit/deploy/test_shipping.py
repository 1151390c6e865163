"""What ships: no GPL in it, and the bill of materials and the licence report say what there is."""

import json
import re
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.shipping import (
    EXCEPTED,
    GPL_LIBRARIES,
    PERMISSIVE,
    WEAK,
    is_gpl,
    libraries_of,
    library_licence,
    licence_of,
    shipped,
    version_of,
)

ROOT = Path(__file__).parents[3]
CUDA = ("nvidia-", "cuda-", "triton")  # what torch brings where it is built for it
SHIPPED = {name: each for name, each in shipped().items() if not name.startswith(CUDA)}
LOCKS = ("requirements.lock", "trackeval.lock")
ON_ITS_OWN = "torch"  # installed from another index
BUILT_WITH_GPL = b"--enable-gpl"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_package_that_ships_is_permissive(name: str) -> None:
    licence = licence_of(SHIPPED[name])
    assert not is_gpl(licence)
    assert any(word in licence for word in PERMISSIVE + WEAK), f"{name}: {licence!r} is not known"


@pytest.mark.parametrize("name", [name for name in SHIPPED if libraries_of(SHIPPED[name])])
def test_a_library_within_a_package_that_ships_is_no_gpl(name: str) -> None:
    for library in libraries_of(SHIPPED[name]):
        assert not GPL_LIBRARIES.match(library)
        licence = library_licence(library)
        assert licence, f"{library} of {name}: look up its licence, and add it to LIBRARY_LICENCES"
        assert not is_gpl(licence)
    for file in SHIPPED[name].files or ():
        if Path(str(file)).name.startswith("libav"):
            assert BUILT_WITH_GPL not in Path(str(file.locate())).read_bytes(), file


def test_the_check_knows_gpl_when_it_sees_it() -> None:
    for licence in (
        *("GPL-3.0-or-later", "GPLv2", "AGPL-3.0", "GNU General Public License v3 (GPLv3)"),
        *("GNU Affero General Public License v3", "SSPL-1.0", "MIT AND GPL-2.0-only"),
    ):
        assert is_gpl(licence), licence
    for licence in ("LGPL-2.1-or-later", "MPL-2.0", "GPL-3.0-or-later WITH GCC-exception-3.1"):
        assert not is_gpl(licence), licence
    assert EXCEPTED.search("GPL-3.0-or-later WITH GCC-exception-3.1")


def test_it_finds_the_gpl_libraries_of_an_extra_that_does_not_ship() -> None:
    """PyAV's wheel bundles x264: were it a dependency, the tests above would fail."""
    assert "av" not in SHIPPED
    try:
        found = libraries_of(metadata.distribution("av"))
    except metadata.PackageNotFoundError:
        pytest.skip("the extra `video` is not installed")
    assert any(GPL_LIBRARIES.match(library) for library in found)


def locked() -> dict[str, str]:
    """What the image installs by hash."""
    text = "".join((ROOT / "deploy" / name).read_text() for name in LOCKS)
    return dict(re.findall(r"^([\w.-]+)==(\S+) \\$", text, re.MULTILINE))


def pinned() -> dict[str, str]:
    text = (ROOT / "constraints.txt").read_text()
    found = re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)
    return {name.replace("_", "-").lower(): version for name, version in found}


def test_everything_that_ships_is_locked_at_the_versions_that_are_tested() -> None:
    lock = locked()
    assert ON_ITS_OWN not in lock
    assert set(SHIPPED) - set(lock) == {ON_ITS_OWN}, "run `make lock`"
    assert {name: version for name, version in pinned().items() if name in lock} == {
        name: lock[name] for name in lock if name in pinned()
    }
    hashes = sum((ROOT / "deploy" / name).read_text().count("--hash=sha256:") for name in LOCKS)
    assert hashes >= len(lock)


def test_the_bill_of_materials_is_the_lock() -> None:
    bill = json.loads((ROOT / "deploy" / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "vigil"
    listed = {
        each["name"].lower().replace("_", "-"): each["version"].partition("+")[0]
        for each in bill["components"]
    }
    wanted = {**locked(), ON_ITS_OWN: pinned()[ON_ITS_OWN]}
    assert {name: listed.get(name) for name in wanted} == wanted, "run `make sbom`"
    assert set(listed) - set(wanted) <= {"vigil", "pip"}


def test_the_licence_report_is_that_of_what_ships() -> None:
    text = (ROOT / "docs" / "licences.md").read_text()
    rows = re.findall(r"^\| ([\w.-]+) \| ([\w.]+) \| (.+) \|$", text, re.MULTILINE)
    reported = {name: (version, licence) for name, version, licence in rows}
    assert {*locked(), ON_ITS_OWN} <= set(reported), "run `make sbom`"
    for name, distribution in SHIPPED.items():
        version, licence = reported[name]
        if version == version_of(distribution):
            assert licence == licence_of(distribution), "run `make sbom`"
