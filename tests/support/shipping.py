"""What ships with vigil: the packages that its image installs, their licences, the libraries inside them.

`python -m tests.support.shipping` prints the licence report, docs/licences.md, of the packages that are
installed here at the versions of constraints.txt.
"""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Permissive, or weakly protective in a way that shared libraries and unchanged sources satisfy.
PERMISSIVE = ("MIT", "BSD", "Apache", "ISC", "PSF", "Python Software Foundation", "0BSD", "Zlib")
PERMISSIVE += ("Public Domain", "CC0", "CNRI", "BSL-1.0", "HPND", "Unlicense")
WEAK = ("MPL", "Mozilla", "LGPL", "Lesser General Public")
STRONG = re.compile(
    r"\b(A?GPL|GNU (Affero )?General Public|SSPL|BUSL|Commons Clause)", re.IGNORECASE
)
EXCEPTED = re.compile(r"GPL-3\.0(-or-later|\+)? WITH GCC-exception-3\.1", re.IGNORECASE)
GPL_LIBRARIES = re.compile(
    r"lib(x264|x265|xvidcore|postproc|vidstab|rubberband|davs2|xavs2?|cdio|dvdcss|fftw3)\b"
)
LIBRARY_LICENCES = {  # of libraries that wheels bundle, by the beginning of their names
    **dict.fromkeys(("libavcodec", "libavformat", "libavutil"), "LGPL-2.1-or-later (FFmpeg)"),
    **dict.fromkeys(("libswscale", "libswresample"), "LGPL-2.1-or-later (FFmpeg)"),
    **dict.fromkeys(("libgfortran", "libgomp"), "GPL-3.0-or-later WITH GCC-exception-3.1"),
    "libquadmath": "LGPL-2.1-or-later",
    **dict.fromkeys(("libopenblasp", "libscipy_openblas"), "BSD-3-Clause"),
    **dict.fromkeys(("libcrypto", "libssl"), "OpenSSL"),
    **dict.fromkeys(("libaom", "libavif"), "BSD-2-Clause"),
    **dict.fromkeys(("libvpx",), "BSD-3-Clause"),
    "libpng16": "libpng-2.0",
    "libdrm": "MIT",
}
EXTRAS = frozenset({"golden", "traces"})  # those of the Makefile's SHIPPED
UNCHECKED = "trackeval"  # installed without what it asks for


_HEAD = """
# Licences of what ships

The packages that vigil's image installs (`deploy/install.sh`), as their metadata have them, and the libraries
that their wheels bundle. Made by `make sbom`; the same packages are in `deploy/sbom.cdx.json` (CycloneDX
1.6). A test fails where a GPL or AGPL one comes in.

vigil itself: Apache-2.0. Models: their cards. Of the extras `golden` and `traces` are in the image, and no
other: `video` (PyAV) bundles x264 and x265, which are GPL: whoever ships that extra ships those.
"""


def shipped(root: str = "vigil") -> dict[str, metadata.Distribution]:
    """A package's dependencies, and theirs, as the image has them."""
    found: dict[str, metadata.Distribution] = {UNCHECKED: metadata.distribution(UNCHECKED)}
    waiting = [(root, EXTRAS)]
    while waiting:
        name, extras = waiting.pop()
        distribution = metadata.distribution(name)
        for text in distribution.requires or ():
            wanted = Requirement(text)
            asked = (
                [wanted.marker.evaluate({"extra": e}) for e in ("", *extras)]
                if wanted.marker
                else [True]
            )
            key = canonicalize_name(wanted.name)
            if any(asked) and key not in found:
                found[key] = metadata.distribution(wanted.name)
                waiting.append((wanted.name, frozenset(wanted.extras)))
    return dict(sorted(found.items()))


def version_of(distribution: metadata.Distribution) -> str:
    """Without the part that names a build (2.13.0+cpu)."""
    return distribution.version.partition("+")[0]


def licence_of(distribution: metadata.Distribution) -> str:
    """As its metadata say: an expression, classifiers, or the first line of a text."""
    told = distribution.metadata
    expression = told.get("License-Expression")
    if expression:
        return str(expression)
    classified = [
        text.rpartition(" :: ")[2]
        for text in told.get_all("Classifier") or ()
        if text.startswith("License :: OSI Approved :: ")
    ]
    if classified:
        return ", ".join(classified)
    lines = [line.strip() for line in str(told.get("License") or "").splitlines()]
    return next((line for line in lines if line), "")


def libraries_of(distribution: metadata.Distribution) -> list[str]:
    """The shared libraries of others that its wheel bundles."""
    names = {
        Path(str(file)).name
        for file in distribution.files or ()
        if ".libs/" in str(file) and ".so" in Path(str(file)).name
    }
    return sorted(names)


def is_gpl(licence: str) -> bool:
    """Whether a licence would bind what ships with it."""
    if any(word in licence for word in WEAK) or EXCEPTED.search(licence):
        return False
    return bool(STRONG.search(licence))


def library_licence(name: str) -> str:
    """Of a bundled library; empty where nobody has looked yet."""
    return next((text for start, text in LIBRARY_LICENCES.items() if name.startswith(start)), "")


def report() -> Iterator[str]:
    """The licence report, line by line."""
    yield from _HEAD.strip().splitlines()
    yield ""
    yield "| package | version | licence |"
    yield "|---|---|---|"
    for name, distribution in shipped().items():
        yield f"| {name} | {version_of(distribution)} | {licence_of(distribution)} |"
    yield ""
    yield "| bundled library | in | licence |"
    yield "|---|---|---|"
    for name, distribution in shipped().items():
        for library in libraries_of(distribution):
            yield f"| {library} | {name} | {library_licence(library)} |"


if __name__ == "__main__":
    print("\n".join(report()))
