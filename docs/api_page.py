"""docs/api.md, made of the wire contract and its comments: `python docs/api_page.py --write`."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "api.md"
# What the server writes to its own disk.
PRIVATE = {"plures/v1/log.proto"}
HEAD = """# The wire

`plures.v1`, gRPC. This page is made of [proto/plures/v1](../proto/plures/v1) by `python docs/api_page.py --write`; a
test holds them to each other. Errors bear `google.rpc.ErrorInfo` of domain `plures`, whose `reason` is stable, and
`RetryInfo` where trying again makes sense; what a message of a stream answers when it alone was refused is an
`ItemError`. Names are `collection/identifier`; tensors are little-endian and row-major. Health and reflection are on.

Within v1 nothing is renamed, renumbered or taken away: `make lint` compares with `proto/frozen.binpb`, which
`buf build proto -o proto/frozen.binpb` makes anew at a release.
"""

Path_ = tuple[int, ...]


class Contract:
    """The files of the contract, with their comments."""

    def __init__(self) -> None:
        self.files = [file for file in _described().file if file.name not in PRIVATE]

    def page(self) -> str:
        """All of it as Markdown."""
        parts = [HEAD]
        for file in self.files:
            comments = Comments(file)
            for number, service in enumerate(file.service):
                parts.append("\n".join(_service(service, comments, (6, number))))
        for file in self.files:
            comments = Comments(file)
            for number, enum in enumerate(file.enum_type):
                parts.append("\n".join(_enum(enum, comments, (5, number))))
            for number, message in enumerate(file.message_type):
                parts.append("\n".join(_message(message, comments, (4, number))))
        return "\n".join(parts)

    def uncommented(self) -> Iterator[str]:
        """Methods, fields and values that nothing is said of."""
        for file in self.files:
            comments = Comments(file)
            for s, service in enumerate(file.service):
                for m, method in enumerate(service.method):
                    if not comments.of((6, s, 2, m)):
                        yield f"{service.name}.{method.name}"
            for m, message in enumerate(file.message_type):
                for f, field in enumerate(message.field):
                    if not comments.of((4, m, 2, f)):
                        yield f"{message.name}.{field.name}"


class Comments:
    """What stands above the things of one file, by their path (descriptor.proto, SourceCodeInfo)."""

    def __init__(self, file: FileDescriptorProto) -> None:
        places = file.source_code_info.location
        self._text = {tuple(place.path): place.leading_comments for place in places if place.leading_comments}

    def of(self, path: Path_) -> str:
        return " ".join(self._text.get(path, "").split())


def _described() -> FileDescriptorSet:
    proto = ROOT / "proto"
    sources = sorted(str(path.relative_to(proto)) for path in proto.glob("plures/v1/*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "set")
        includes = [f"-I{proto}", f"-I{files('grpc_tools') / '_proto'}"]
        if protoc.main(["protoc", *includes, "--include_source_info", f"--descriptor_set_out={target}", *sources]):
            raise RuntimeError(f"protoc refused {', '.join(sources)}; its message stands above")
        return FileDescriptorSet.FromString(target.read_bytes())


def _service(service: ServiceDescriptorProto, comments: Comments, path: Path_) -> list[str]:
    lines = [f"## {service.name}\n", comments.of(path), "", "| call | takes | answers | |", "|---|---|---|---|"]
    for number, method in enumerate(service.method):
        takes = _link(method.input_type, "stream of " * method.client_streaming)
        answers = _link(method.output_type, "stream of " * method.server_streaming)
        lines.append(f"| `{method.name}` | {takes} | {answers} | {_cell(comments.of((*path, 2, number)))} |")
    return [*lines, ""]


def _message(message: DescriptorProto, comments: Comments, path: Path_) -> list[str]:
    lines = [f"### {message.name}\n"]
    if text := comments.of(path):
        lines += [text, ""]
    if not message.field:
        return [*lines, "No fields.\n"]
    lines += ["| field | type | |", "|---|---|---|"]
    for number, field in enumerate(message.field):
        said = _cell(_one_of(message, field) + comments.of((*path, 2, number)))
        lines.append(f"| `{field.name}` = {field.number} | {_type(field)} | {said} |")
    return [*lines, ""]


def _one_of(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    return f"One of `{message.oneof_decl[field.oneof_index].name}`. " if field.HasField("oneof_index") else ""


def _enum(enum: EnumDescriptorProto, comments: Comments, path: Path_) -> list[str]:
    lines = [f"### {enum.name}\n", comments.of(path), "", "| value | |", "|---|---|"]
    for number, value in enumerate(enum.value):
        lines.append(f"| `{value.name}` = {value.number} | {_cell(comments.of((*path, 2, number)))} |")
    return [*lines, ""]


def _type(field: FieldDescriptorProto) -> str:
    repeated = "repeated " * (field.label == FieldDescriptorProto.LABEL_REPEATED)
    if field.type_name:
        return _link(field.type_name, repeated)
    return repeated + FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _link(type_name: str, before: str) -> str:
    name = type_name.rpartition(".")[2]
    return f"{before}[{name}](#{name.lower()})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: Sequence[str]) -> None:
    """Print the page, or write it."""
    page = Contract().page()
    if "--write" in arguments:
        PAGE.write_text(page)
    else:
        print(page, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
