"""`python forking.py STUDENTS ARGUMENT…`: for each line on standard input a `plures-server` with these arguments.

They are forked from this process, which has all code loaded and compiled, so that a new one costs a fraction of a
second. Prints the process id of each; what they print follows.
"""

import os
import signal
import sys
from pathlib import Path

import torch
from plures_server.main import main
from plures_server.students import load_students


def serve_forever(students: str, arguments: list[str]) -> None:
    load_students(Path(students), torch.device("cpu"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        if os.fork() == 0:
            # The child says it itself, so that it comes before all else that the child says.
            print(os.getpid(), flush=True)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                main(["--students", students, *arguments])
            finally:
                # Whoever waits for its address waits for a line.
                print("the server has ended", flush=True)


if __name__ == "__main__":
    serve_forever(sys.argv[1], sys.argv[2:])
