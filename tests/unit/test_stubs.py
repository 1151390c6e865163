import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parents[2]
PROTO = ROOT / "proto"
STUBS = ROOT / "service" / "vigil" / "v1"


def test_the_committed_stubs_are_what_the_protos_give(tmp_path: Path) -> None:
    """``make stubs`` renews them."""
    files = sorted(str(path) for path in PROTO.glob("vigil/v1/*.proto"))
    include = Path(protoc.__file__).parent / "_proto"
    flags = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    assert protoc.main(["protoc", f"-I{PROTO}", f"-I{include}", *flags, *files]) == 0
    made = {path.name: path.read_text() for path in (tmp_path / "vigil" / "v1").iterdir()}
    kept = {path.name: path.read_text() for path in STUBS.glob("*_pb2*.py*") if path.is_file()}
    assert made == kept


def test_the_protos_have_no_package_of_python_beside_them() -> None:
    assert not list(PROTO.rglob("__init__.py"))
    assert "vigil.v1" not in sys.builtin_module_names
