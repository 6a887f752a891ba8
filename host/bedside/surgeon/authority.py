"""Who may move the arm: one console at a time, and nobody unless the person beside the patient lets them.

An explicit protocol, each step of which is logged: request, grant, hand over, take back, release, loss. A change of
hands pauses the arm; whoever has it then takes it up by a deliberate resume, or enable, from where it stands.

Roles: a *surgeon* takes an arm that is free; a *mentor* does, too, and may take it back from anyone but a mentor; a
*trainee* is given it by whoever has it, by a mentor or by the local operator; an *observer* sees. The *local* operator
is the person beside the arm.
"""

from __future__ import annotations

from collections.abc import Callable

from bedside.errors import SurgeonError

LOCAL = "local"
BRIDGE, SURGEON, MENTOR, TRAINEE, OBSERVER = "bridge", "surgeon", "mentor", "trainee", "observer"
NOBODY = ""
_BESIDE = "the local operator beside the arm does that, with 'bedside local'"
# What only the person beside the arm may ask for, and why it is refused to others.
_LOCAL_ONLY = {
    "clear": f"a fault is cleared beside the arm, where its cause can be seen: {_BESIDE}",
    "home": f"homing moves joints that do not know where they are: {_BESIDE}",
    "unhome": f"what makes joints forget where they are is done beside the arm: {_BESIDE}",
    "release_brakes": "brakes are released by the switch on the arm, by the hand that holds its load",
    "stop": f"taking an arm out of everybody's hands is done beside it, and whoever has it disables it: {_BESIDE}",
    "arm": f"remote consoles are let in from beside the arm: {_BESIDE}",
}


class Authority:
    """The state of that protocol. ``log`` gets a line for each step; names are those of certificates."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.armed = False
        self.holder = NOBODY
        self.present: dict[str, str] = {}
        self.waiting: list[str] = []
        # How often the arm has changed hands.
        self.changes = 0
        self._log = log

    # ---- who is there ---------------------------------------------------------------------

    def join(self, name: str, role: str) -> None:
        """Note that a console has opened a session."""
        if name not in self.present:
            self._log(f"{name} ({role}) is connected")
        self.present[name] = role

    def leave(self, name: str, why: str) -> None:
        """Note that a console's session has ended: if it had the arm, nobody has now."""
        if self.present.pop(name, None) is None:
            return
        self._log(f"{name} is gone: {why}")
        if name in self.waiting:
            self.waiting.remove(name)
        if name == self.holder:
            self._give(NOBODY, f"lost by {name}")

    # ---- the steps ------------------------------------------------------------------------

    def arm(self, name: str) -> None:
        """Let remote consoles enable the arm."""
        self.need(name, "arm")
        if not self.armed:
            self.armed = True
            self._log(f"armed by {name}: remote consoles may enable the arm")

    def stop(self, name: str) -> None:
        """Let nobody enable the arm any more: what the person beside it asks for. The caller stops it."""
        self.need(name, "stop")
        if self.armed:
            self._log(f"no longer armed: {name}")
        self.armed = False
        self.waiting.clear()
        self._give(NOBODY, f"taken back by {name}")

    def request(self, name: str) -> None:
        """Take the arm if it is free, else wait for it. Raises SurgeonError, which says for whom one waits."""
        role = self._role(name)
        if role in (OBSERVER, LOCAL):
            raise SurgeonError(f"{name} is {'an observer' if role == OBSERVER else 'beside the arm'}, and never has it")
        if self.holder == name:
            return
        if not self.armed:
            raise SurgeonError("the arm is not armed: ask the local operator to arm it, with 'bedside local'")
        if self.holder == NOBODY and role != TRAINEE:
            self._give(name, f"requested by {name}")
            return
        if name not in self.waiting:
            self.waiting.append(name)
            self._log(f"{name} ({role}) asks for the arm")
        if self.holder:
            raise SurgeonError(f"{self.holder} has the arm; it is told that {name} asks for it")
        raise SurgeonError("a trainee is given the arm by a mentor, or by the local operator; they are told")

    def hand_over(self, name: str, to: str) -> None:
        """Give the arm that ``name`` has to ``to``."""
        if self.holder != name:
            raise SurgeonError(f"{name} does not have the arm, so cannot hand it over")
        self._pass_on(name, to, "handed over")

    def grant(self, name: str, to: str) -> None:
        """Give the free arm to ``to``: a mentor's, or the local operator's, to do."""
        role = self._role(name)
        if role not in (MENTOR, LOCAL):
            raise SurgeonError(f"{name} is a {role}: an arm that is free is granted by a mentor or the local operator")
        if self.holder not in (NOBODY, name) and role != LOCAL:
            raise SurgeonError(f"{self.holder} has the arm; take it back first")
        self._pass_on(name, to, "granted")

    def take_back(self, name: str) -> None:
        """Take the arm from whoever has it: a mentor to have it, the local operator so that nobody has."""
        role = self._role(name)
        if role == LOCAL:
            self.stop(name)
            return
        if role != MENTOR:
            raise SurgeonError(f"{name} is a {role}; only a mentor and the local operator take an arm back")
        if self.holder and self.holder != name and self.present.get(self.holder) == MENTOR:
            raise SurgeonError(f"{self.holder} is a mentor, too; ask for the arm instead")
        if not self.armed:
            raise SurgeonError("the arm is not armed: ask the local operator to arm it, with 'bedside local'")
        self._give(name, f"taken back by {name}")

    def release(self, name: str) -> None:
        """Give up the arm, or waiting for it."""
        if name in self.waiting:
            self.waiting.remove(name)
        if name == self.holder:
            self._give(NOBODY, f"released by {name}")

    # ---- what is allowed --------------------------------------------------------------------

    def need(self, name: str, command: str) -> None:
        """Raise SurgeonError, with the reason, unless ``name`` may ask for ``command``."""
        role = self._role(name)
        if role == LOCAL:
            if command not in (*_LOCAL_ONLY, "disable", "pause", "enable"):
                raise SurgeonError(f"the local operator stops and homes the arm; {command} is a console's")
            if self.holder and command in ("enable", "home", "unhome"):
                raise SurgeonError(f"{self.holder} has the arm; take it back first")
            return
        if command in _LOCAL_ONLY:
            raise SurgeonError(_LOCAL_ONLY[command])
        if role == OBSERVER:
            raise SurgeonError(f"{name} is an observer: it sees, and asks for nothing")
        if command in ("disable", "pause") and role == MENTOR:
            return
        if name != self.holder:
            who = f"{self.holder} has the arm" if self.holder else "nobody has the arm: request it first"
            raise SurgeonError(f"{command}: {who}")
        if not self.armed and command not in ("disable", "pause"):
            raise SurgeonError("the arm is not armed: ask the local operator to arm it, with 'bedside local'")

    # ---- inside -----------------------------------------------------------------------------

    def _role(self, name: str) -> str:
        role = self.present.get(name)
        if role is None:
            raise SurgeonError(f"{name} is not connected")
        return role

    def _pass_on(self, name: str, to: str, how: str) -> None:
        role = self.present.get(to)
        if role is None:
            there = ", ".join(each for each, is_a in self.present.items() if is_a not in (OBSERVER, LOCAL)) or "nobody"
            raise SurgeonError(f"'{to}' is not connected, so cannot have the arm; there is: {there}")
        if role in (OBSERVER, LOCAL):
            raise SurgeonError(f"{to} is {'an observer' if role == OBSERVER else 'beside the arm'}, and never has it")
        if not self.armed:
            raise SurgeonError("the arm is not armed: ask the local operator to arm it, with 'bedside local'")
        self._give(to, f"{how} by {name}")

    def _give(self, to: str, how: str) -> None:
        if to in self.waiting:
            self.waiting.remove(to)
        if to == self.holder:
            return
        self._log(f"{to or 'nobody'} has the arm: {how}")
        self.holder = to
        self.changes += 1
