"""What an engine is made with: pages for a student's states, and who steps its agents."""

from collections.abc import Callable
from dataclasses import dataclass

from .crew import Crew
from .pages import MakePages, Pages, make_pages
from .stepper import Stepper
from .student_stepper import StudentStepper
from .students import Hosted, ServedStudent
from .telemetry.meter import Meters

MakeStepper = Callable[[Hosted, Pages, Crew, tuple[int, ...], Meters], Stepper]


def student_stepper(student: Hosted, pages: Pages, crew: Crew, tiles: tuple[int, ...], meters: Meters) -> Stepper:
    assert isinstance(student, ServedStudent)
    return StudentStepper(student, pages, crew, tiles, meters)


@dataclass(frozen=True)
class Makings:
    """As `make_pages` and `StudentStepper` have it, unless somebody else steps the agents."""

    pages: MakePages = make_pages
    stepper: MakeStepper = student_stepper
