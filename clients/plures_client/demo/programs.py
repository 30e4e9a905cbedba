"""The other programs of Plures, each run as a user would run it: `plures …` and `plures-server`."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

STOP_SECONDS = 20


def run_plures(*arguments: str | Path) -> None:
    """Run a `plures` command and show it; raise ClickException when it fails."""
    words = [str(argument) for argument in arguments]
    click.secho(f"$ plures {' '.join(words)}", fg="bright_black")
    status = subprocess.run([_program("plures"), *words], check=False).returncode
    if status:
        raise click.ClickException(f"`plures {words[0]}` ended with status {status}")


@contextmanager
def served(students: Path, data: Path, log: Path) -> Iterator[str]:
    """The address of a server of our own, in its own process, on a free port of the loopback; stopped at the end."""
    command = [_program("plures-server"), "--students", str(students), "--data", str(data), "--port", "0"]
    click.secho(f"$ {' '.join(['plures-server', *command[1:]])}", fg="bright_black")
    with (
        log.open("w") as file,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            found = re.search(r"listens on (\S+)", server.stdout.readline())
            if not found:
                raise click.ClickException(f"the server did not start; it wrote to {log}:\n{log.read_text()[-1000:]}")
            yield found.group(1)
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _program(name: str) -> str:
    """Beside this interpreter, so that a virtual environment need not be active."""
    return str(Path(sys.executable).parent / name)
