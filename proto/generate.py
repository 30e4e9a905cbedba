"""Generate the Python modules of the wire contract: as a build hook at install, or `python proto/generate.py`."""

import os
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent


def generate() -> None:
    """Write `*_pb2.py`, `*_pb2_grpc.py` and their type stubs beside every .proto file; raise if protoc refuses one."""
    from grpc_tools import protoc

    sources = sorted(str(path.relative_to(HERE)) for path in HERE.glob("plures/v1/*.proto"))
    outputs = [f"--{plugin}_out={HERE}" for plugin in ("python", "grpc_python", "mypy", "mypy_grpc")]
    includes = [f"-I{HERE}", f"-I{files('grpc_tools') / '_proto'}"]
    # mypy-protobuf's plugins may stand beside an interpreter whose folder is not on PATH.
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
    if protoc.main(["protoc", *includes, *outputs, *sources]) != 0:
        raise RuntimeError(f"protoc refused {', '.join(sources)}; its message stands above")


class GenerateHook(BuildHookInterface[Any]):
    """Runs `generate` before a wheel or an editable install is built."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        generate()


if __name__ == "__main__":
    generate()
