"""What a person types next: words of commands, never a line for a shell to take apart."""

import re
import shlex
from dataclasses import dataclass
from typing import Self

PROGRAM = "launcher"
# What stands in a command for what nobody but a person knows.
BLANKS = (
    "VALUE", "KEY", "NAME:TAG", "NAME", "DIR", "FILE", "CLAIM.yaml", "SIZE", "URL", "USER", "PASSWORD",
    "EMAIL", "NODE", "NUMBER", "PROJECT",
)  # fmt: skip
_BLANK = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in BLANKS))


@dataclass(frozen=True)
class Fix:
    """Commands that mend something, each to be typed when the one before has left with 0."""

    commands: tuple[tuple[str, ...], ...]
    """Words of each command, the program's name first."""
    note: str = ""
    """What a person has to know beside, or to do first."""

    @classmethod
    def of(cls, *words: str) -> Self:
        """One command."""
        return cls((words,))

    def then(self, other: "Fix") -> "Fix":
        """These commands, followed by the other's."""
        return Fix((*self.commands, *other.commands), "; ".join(filter(None, (self.note, other.note))))

    def noting(self, note: str) -> "Fix":
        """The same with a note."""
        return Fix(self.commands, note)

    def __str__(self) -> str:
        """As it can be pasted into a shell."""
        text = " && ".join(map(shlex.join, self.commands))
        return f"{text}  # {self.note}" if self.note else text

    @property
    def blanks(self) -> list[str]:
        """What a person has to fill in, such as VALUE."""
        words = " ".join(word for command in self.commands for word in command[1:])
        return list(dict.fromkeys(_BLANK.findall(words)))

    @property
    def by_hand(self) -> str:
        """Why this is a person's to run, empty where the launcher can."""
        others = [command[0] for command in self.commands if command[0] != PROGRAM]
        if others:
            return f"it is a command of {others[0]}"
        if self.blanks:
            return f"{', '.join(self.blanks)} in it is yours to fill in"
        return ""
