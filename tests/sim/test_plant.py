"""The plant against an independent integration: fourth-order Runge-Kutta at a hundredth of its step."""

from __future__ import annotations

import math

import pytest

from bedside.places import BOARDS
from bedside.sim.plant import Load, Motor, Plant, load_plants

PERIOD_S = 0.001
JOINTS = ["outer_yaw", "outer_pitch", "insertion", "outer_roll", "wrist_pitch", "wrist_yaw", "jaw"]
MOTOR = Motor(24, 1.8, 0.0438, 56.23, 1.06)


def fine(plant: Plant, duty: float, q: float, v: float, seconds: float) -> tuple[float, float]:
    """Integrate the docstring's equation of motion without friction's stick, in steps of 10 us."""
    motor, load = plant.motor, plant.load
    k = motor.torque_constant_nm_per_a * motor.gear_ratio

    def acceleration(q: float, v: float) -> float:
        current = (duty * motor.supply_v - k * v) / motor.resistance_ohm
        current = max(-motor.current_max_a, min(motor.current_max_a, current))
        pull = load.gravity * (math.sin(q - load.gravity_zero) if load.kind == "revolute" else 1.0)
        return (k * current - load.viscous * v - math.copysign(load.coulomb, v) - pull) / load.inertia

    h = 1e-5
    for _ in range(round(seconds / h)):
        k1v, k1a = v, acceleration(q, v)
        k2v, k2a = v + h / 2 * k1a, acceleration(q + h / 2 * k1v, v + h / 2 * k1a)
        k3v, k3a = v + h / 2 * k2a, acceleration(q + h / 2 * k2v, v + h / 2 * k2a)
        k4v, k4a = v + h * k3a, acceleration(q + h * k3v, v + h * k3a)
        q += h / 6 * (k1v + 2 * k2v + 2 * k3v + k4v)
        v += h / 6 * (k1a + 2 * k2a + 2 * k3a + k4a)
    return q, v


@pytest.mark.parametrize("name", JOINTS)
@pytest.mark.parametrize("duty", [0.02, 0.2, -0.2])
def test_motion_agrees_with_a_fine_integration(name: str, duty: float) -> None:
    plant = load_plants(BOARDS / "plants" / "psm.toml", [name], PERIOD_S)[name]
    plant.brake_closed = False
    low, high = plant.load.end_stops
    plant.position, plant.velocity = (low + high) / 2, math.copysign(0.2 * (high - low), duty)
    reach = 0.02
    q, v = fine(plant, duty, plant.position, plant.velocity, reach)
    begun = plant.position
    for _ in range(round(reach / PERIOD_S)):
        plant.step(duty, True, True)
    assert plant.position - begun == pytest.approx(q - begun, rel=0.01)
    assert plant.velocity == pytest.approx(v, rel=0.02)


def still(**load: float) -> Plant:
    base = {"inertia": 0.05, "viscous": 0.14, "coulomb": 0.05, "gravity": 0.4, "brake": 8.0}
    values = {**base, "brake_open_ms": 15, "brake_close_ms": 30, "counts_per_unit": 100_000, **load}
    return Plant(MOTOR, Load("revolute", end_stops=(-1.0, 1.0), **values), PERIOD_S)  # type: ignore[arg-type]


def test_friction_holds_what_is_lighter_than_it() -> None:
    plant = still(coulomb=0.5)
    plant.brake_closed, plant.position = False, 0.9
    for _ in range(500):
        plant.step(0.0, False, True)
    assert plant.position == 0.9


def test_without_torque_and_brake_the_arm_falls() -> None:
    plant = still()
    plant.brake_closed, plant.position = False, 0.9
    for _ in range(600):
        plant.step(0.0, False, True)
    assert plant.position < 0.6


def test_the_brake_takes_its_time_to_close_and_then_holds() -> None:
    plant = still()
    plant.brake_closed, plant.position = False, 0.9
    closed_after = next(tick for tick in range(1, 100) if plant.step(0.0, False, False) or plant.brake_closed)
    assert closed_after == 30
    plant.velocity = 0.0
    held = plant.position
    for _ in range(500):
        plant.step(0.0, False, False)
    assert plant.position == held


def test_the_brake_takes_its_time_to_open() -> None:
    plant = still()
    opened_after = next(tick for tick in range(1, 100) if plant.step(0.0, True, True) or not plant.brake_closed)
    assert opened_after == 15


def test_an_end_stop_stops() -> None:
    plant = still()
    plant.brake_closed = False
    for _ in range(3000):
        plant.step(1.0, True, True)
    assert (plant.position, plant.velocity) == (1.0, 0.0)


def test_torque_never_exceeds_the_current_limit() -> None:
    plant = still()
    plant.brake_closed = False
    for duty in (1.0, -1.0) * 50:
        plant.step(duty, True, True)
        assert abs(plant.current) <= MOTOR.current_max_a


def test_the_encoder_counts_down_to_the_last_whole_step() -> None:
    plant = still()
    plant.position = -0.000_001
    assert plant.count == -1
