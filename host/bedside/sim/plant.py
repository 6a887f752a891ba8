"""A motor, its gear, its load and its brake.

A DC motor on a voltage drive with a current limit turns a load through a gear, against viscous and Coulomb friction and
gravity, between two end stops. Reduced to the joint, with k the motor's torque constant times the gear ratio:

    inertia * dv/dt = k * current - viscous * v - sign(v) * (coulomb + brake) - gravity(q)
    current = (duty * supply - k * v) / resistance, within the current limit

The winding's inductance is left out: its time constant, a fraction of a millisecond, is below a tick. Between two ticks
the equation is linear (gravity changes little, the current either is or is not limited), so a step is its exact
solution, and one step a tick is enough.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from bedside.config import load_toml
from bedside.errors import CellError

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]


class Motor(Struct, forbid_unknown_fields=True):
    """A motor, its drive and its gear; ``gear_ratio`` is rad of the motor per rad (or m) of the joint."""

    supply_v: Positive
    resistance_ohm: Positive
    torque_constant_nm_per_a: Positive
    gear_ratio: Positive
    current_max_a: Positive


class Load(Struct, forbid_unknown_fields=True):
    """What the motor moves, at the joint: SI units, kg m^2 and N m, or kg and N on a prismatic joint.

    An ``incremental`` encoder counts from where the joint is when its board is switched on. ``index`` is where it has
    its index; ``sensor`` the counts per rad (or m) of a second sensor, and what it reads at 0.

    ``gravity`` is the largest torque of gravity, which acts as a pendulum's that hangs at ``gravity_zero``;
    on a prismatic joint it is a constant force towards smaller positions.
    """

    kind: Literal["revolute", "prismatic"]
    inertia: Positive
    viscous: Positive
    coulomb: NotNegative
    gravity: float
    end_stops: tuple[float, float]
    brake: NotNegative
    brake_open_ms: NotNegative
    brake_close_ms: NotNegative
    counts_per_unit: float
    encoder: Literal["absolute", "incremental"] = "absolute"
    index: float | None = None
    sensor: tuple[float, float] | None = None
    gravity_zero: float = 0.0
    start: float = 0.0


class PlantFile(Struct, forbid_unknown_fields=True):
    """Motors and loads by joint name."""

    motor: dict[str, Motor]
    load: dict[str, Load]


class Plant:
    """The state of one joint's mechanics. Positions rad or m, SI units throughout."""

    def __init__(self, motor: Motor, load: Load, period_s: float) -> None:
        self.motor = motor
        self.load = load
        self.position = load.start
        self.velocity = 0.0
        self.current = 0.0
        self.brake_closed = True
        self.index_count = 0
        self.index_passes = 0
        self._count_zero = 0
        self._brake_due_s = 0.0
        self._period_s = period_s
        self._k = motor.torque_constant_nm_per_a * motor.gear_ratio
        self._back_emf = self._k * self._k / motor.resistance_ohm
        self._decay_limited = math.exp(-load.viscous * period_s / load.inertia)
        self._decay_free = math.exp(-(load.viscous + self._back_emf) * period_s / load.inertia)

    @property
    def count(self) -> int:
        """What the encoder reads."""
        return self._count_at(self.position) - self._count_zero

    @property
    def sensor(self) -> int:
        """What the second sensor reads, 0 if there is none."""
        scale, zero = self.load.sensor or (0.0, 0.0)
        return round(self.position * scale + zero)

    def power_on(self) -> None:
        """Begin to count, as the counter of a board that starts does."""
        self._count_zero = self._count_at(self.position) if self.load.encoder == "incremental" else 0
        self.index_count = self.index_passes = 0

    def _count_at(self, position: float) -> int:
        return math.floor(position * self.load.counts_per_unit)

    def gravity(self) -> float:
        """Return the load's torque (or force) against positive motion."""
        if self.load.kind == "prismatic":
            return self.load.gravity
        return self.load.gravity * math.sin(self.position - self.load.gravity_zero)

    def step(self, duty: float, drive_on: bool, brake_open: bool) -> None:
        """Advance by one period with the drive at ``duty`` (-1 to 1) and the brake energised or not."""
        begun = self.position
        self._move(duty, drive_on, brake_open)
        index = self.load.index
        if index is not None and (begun < index) != (self.position < index):
            # Caught by the counter's hardware, however fast the joint is.
            self.index_count = self._count_at(index) - self._count_zero
            self.index_passes += 1

    def _move(self, duty: float, drive_on: bool, brake_open: bool) -> None:
        load = self.load
        dt = self._period_s
        self._move_brake(brake_open)
        damping, decay, torque = load.viscous, self._decay_limited, 0.0
        if drive_on:
            motor = self.motor
            current = (duty * motor.supply_v - self._k * self.velocity) / motor.resistance_ohm
            if current > motor.current_max_a:
                current = motor.current_max_a
            elif current < -motor.current_max_a:
                current = -motor.current_max_a
            else:
                damping, decay = load.viscous + self._back_emf, self._decay_free
            self.current = current
            torque = self._k * current
            if decay == self._decay_free:
                torque += self._back_emf * self.velocity
        else:
            self.current = 0.0
        torque -= self.gravity()
        friction = load.coulomb + (load.brake if self.brake_closed else 0.0)
        before = self.velocity
        if before == 0.0 and abs(torque) <= friction:
            return
        way = math.copysign(1.0, before if before != 0.0 else torque)
        final = (torque - way * friction) / damping
        after = final + (before - final) * decay
        if after * way <= 0.0:
            # It comes to rest within this period; whether it starts again is the next one's question.
            self.position += before * dt * before / (before - after) / 2 if before != after else 0.0
            after = 0.0
        else:
            self.position += final * dt + (before - final) * (1.0 - decay) * load.inertia / damping
        self.velocity = after
        low, high = load.end_stops
        if not low <= self.position <= high:
            self.position = min(max(self.position, low), high)
            self.velocity = 0.0

    def _move_brake(self, is_open: bool) -> None:
        if is_open != self.brake_closed:
            self._brake_due_s = 0.0
            return
        self._brake_due_s += self._period_s
        needed = self.load.brake_open_ms if is_open else self.load.brake_close_ms
        if self._brake_due_s * 1000 >= needed:
            self.brake_closed = not is_open
            self._brake_due_s = 0.0


def load_plants(path: Path, joints: list[str], period_s: float) -> dict[str, Plant]:
    """Read the plants of ``joints`` from a plant file. Raises CellError."""
    file = load_toml(path, PlantFile)
    plants = {}
    for name in joints:
        if name not in file.motor or name not in file.load:
            raise CellError(f"{path}: no [motor.{name}] and [load.{name}]: a simulated joint needs both")
        plants[name] = Plant(file.motor[name], file.load[name], period_s)
    return plants
