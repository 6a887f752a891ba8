"""`bedside local` on a terminal: what the arm does and who has it, and a key for each thing to be done beside it."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bedside.errors import SurgeonError
from bedside.link import causes
from bedside.link.messages import FLAGS, PHASES, STATES
from bedside.surgeon import protocol
from bedside.surgeon.beside import Beside

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

_DRAWN_HZ = 10
_KEYS = "  ".join(
    f"[b]{key}[/b] {act}"
    for key, act in (
        ("space", "stop"),
        ("a", "arm"),
        ("t", "take back"),
        ("g", "grant"),
        ("c", "clear"),
        ("h", "home"),
        ("q", "quit"),
    )
)
_STOP, _INTERRUPT = " ", "\x03"


class _InterruptedError(SurgeonError):
    """A key was pressed while the arm homed, which is held to run."""


def joint_table(feedback: protocol.Feedback, joints: list[str], units: list[str], title: str) -> Table:
    """Return one line a joint: where it is, where it should be, how fast, the drive's share, and its flags."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None)
    table.add_column("joint")
    for column in ("measured", "setpoint", "velocity", "drive %"):
        table.add_column(column, justify="right")
    table.add_column("flags")
    for index, (name, unit) in enumerate(zip(joints, units, strict=True)):
        names = ", ".join(text for bit, text in FLAGS.items() if feedback.flags[index] & bit)
        numbers = (feedback.position[index], feedback.setpoint[index], feedback.velocity[index])
        cells = [f"{number:+.4f} {suffix}" for number, suffix in zip(numbers, (unit, unit, f"{unit}/s"), strict=True)]
        table.add_row(name, *cells, f"{100 * feedback.output[index]:+.0f}", names)
    return table


def show(operator: Beside) -> None:
    """Show the arm and obey keys until q. Raises SurgeonError when the bridge ends, or without a terminal."""
    from rich.live import Live

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SurgeonError("the screen needs a terminal; without one say what to do: 'bedside local CELL.toml arm'")
    screen = _Screen(operator)
    with _keys_at_once() as early, Live(screen.drawn(), auto_refresh=False, screen=True) as live:
        # Whoever was in a hurry meant this one. Anything else is asked for by who sees the arm.
        if _STOP in early:
            screen.obey(_STOP, live)
        while True:
            select.select([operator.link, sys.stdin], [], [], 1 / _DRAWN_HZ)
            operator.link.receive()
            key = _key()
            if key in ("q", _INTERRUPT):
                return
            if key:
                screen.obey(key, live)
            live.update(screen.drawn(), refresh=True)


class _Screen:
    def __init__(self, operator: Beside) -> None:
        self._operator = operator
        self._said = ""

    def obey(self, key: str, live: Live) -> None:
        """Do what ``key`` stands for; what is refused is shown."""
        operator = self._operator
        acts: dict[str, tuple[str, Callable[[], None]]] = {
            _STOP: ("stop", operator.stop),
            "s": ("stop", operator.stop),
            "a": ("arm", operator.arm),
            "t": ("take back", operator.take_back),
            "g": ("grant", self._grant),
            "c": ("clear", operator.clear),
            "h": ("home", lambda: self._home(live)),
        }
        if key not in acts:
            return
        name, act = acts[key]
        try:
            act()
            self._said = f"{name}: done"
        except _InterruptedError:
            self._said = f"{name}: ended by a key"
        except SurgeonError as error:
            self._said = f"{name}: {error}"

    def drawn(self) -> RenderableType:
        """Return the whole screen."""
        from rich.console import Group
        from rich.markup import escape

        operator = self._operator
        feedback, authority = operator.feedback, operator.link.authority
        facts = operator.welcome.joints
        phases = ", ".join(sorted({PHASES[board[2]] for board in feedback.boards}))
        faults = sorted({causes.name_of(board[3]) for board in feedback.boards if board[3]})
        title = f"{operator.welcome.arm}: {STATES[feedback.state]} ({phases}) {', '.join(faults)}"
        there = ", ".join(f"{name} ({role})" for name, role in authority.present.items() if role != "local") or "nobody"
        lines = [
            f"[b]{'ARMED' if authority.armed else 'not armed'}[/b]: remote consoles "
            f"{'may' if authority.armed else 'may not'} enable the arm",
            f"in the hands of: [b]{escape(authority.holder or 'nobody')}[/b]",
            f"connected: {escape(there)}",
        ]
        if authority.waiting:
            lines.append(f"[b]{escape(authority.waiting[0])}[/b] asks for the arm: g grants it")
        notices = [notice.text for notice in operator.link.notices if not notice.seq][-4:]
        table = joint_table(feedback, [joint.name for joint in facts], [joint.unit for joint in facts], title)
        return Group(table, "", *lines, "", *map(escape, notices), "", escape(self._said), "", _KEYS)

    def _grant(self) -> None:
        waiting = self._operator.link.authority.waiting
        if not waiting:
            raise SurgeonError("nobody asks for the arm")
        self._operator.grant(waiting[0])

    def _home(self, live: Live) -> None:
        self._said = "homing; any key ends it"

        def progress(*_: int) -> None:
            if _key():
                raise _InterruptedError("a key was pressed")
            live.update(self.drawn(), refresh=self._operator.link.seq % 20 == 0)

        self._operator.home(progress)


def _key() -> str:
    """Return the key that was pressed, "" for none."""
    if not select.select([sys.stdin], [], [], 0)[0]:
        return ""
    # A terminal that is gone reads as its end.
    return os.read(sys.stdin.fileno(), 1).decode("latin-1") or "q"


@contextlib.contextmanager
def _keys_at_once() -> Iterator[str]:
    """Let keys come without Return, and without being shown; yield those that were pressed before."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin, termios.TCSADRAIN)
        now = termios.tcgetattr(sys.stdin)
        # Ctrl-S would hold the screen up, and with it the stop.
        now[0] &= ~termios.IXON
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, now)
        early = ""
        while select.select([sys.stdin], [], [], 0)[0] and (keys := os.read(sys.stdin.fileno(), 1 << 12)):
            early += keys.decode("latin-1")
        yield early
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
