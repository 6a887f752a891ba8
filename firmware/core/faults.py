"""Every fault and what it does: the one table, from which the reaction is taken and which the docs repeat.

Reactions in the terms of IEC 61800-5-2, as vocabulary:

- PAUSE: SS2. All joints ramp to standstill and hold it, monitored (SOS); PAUSED, after the hold time FAULT and brakes.
- RAMP: SS1. All joints ramp to standstill; brakes close (SBC), then torque goes off (STO).
- TRIP: STO and SBC in the same tick on the faulted joint, which cannot be trusted to ramp; the others do SS2.
- BRAKE: SBC at once on all joints, held by their motors until the brakes are closed, then STO.
- OFF: STO and SBC at once on all joints.
- HOLD: the brake does not hold, so the motors go on behind closed brakes, until a person says that the arm is
  supported.

All but PAUSE enter FAULT at once, which latches. The first cause since the last clear is kept.
"""

from array import array

PAUSE = 1
RAMP = 2
TRIP = 3
BRAKE = 4
OFF = 5
HOLD = 6

OPERATOR_TIMEOUT = 1
FOLLOWING_ERROR = 2
LINK_TIMEOUT = 3
HOLD_TIMEOUT = 4
STANDSTILL = 5
ENCODER_JUMP = 6
ENCODER_STUCK = 7
WRONG_DIRECTION = 8
OVERSPEED = 9
OVERCURRENT = 10
DRIVE = 11
MOVED_WHILE_OFF = 12
CURRENT_WHILE_OFF = 13
UNDERVOLTAGE = 14
OVERVOLTAGE = 15
TICK_LATE = 16
E_STOP = 17
NOT_BUILT = 18
RUN_LOOP = 19
RUN_LOOP_STUCK = 20
BRAKE_FAILED = 21
SENSOR = 22
HOMING_BLOCKED = 23
PROOF_TIMEOUT = 24

TABLE = (
    (OPERATOR_TIMEOUT, PAUSE),
    (FOLLOWING_ERROR, TRIP),
    (LINK_TIMEOUT, RAMP),
    (HOLD_TIMEOUT, RAMP),
    (STANDSTILL, BRAKE),
    (ENCODER_JUMP, TRIP),
    (ENCODER_STUCK, TRIP),
    (WRONG_DIRECTION, TRIP),
    (OVERSPEED, TRIP),
    (OVERCURRENT, TRIP),
    (DRIVE, TRIP),
    (MOVED_WHILE_OFF, OFF),
    (CURRENT_WHILE_OFF, OFF),
    (UNDERVOLTAGE, BRAKE),
    # Braking motors feed the supply; without torque they do not.
    (OVERVOLTAGE, OFF),
    (TICK_LATE, RAMP),
    (E_STOP, RAMP),
    (NOT_BUILT, OFF),
    (RUN_LOOP, RAMP),
    (RUN_LOOP_STUCK, RAMP),
    (BRAKE_FAILED, HOLD),
    (SENSOR, TRIP),
    (HOMING_BLOCKED, TRIP),
    (PROOF_TIMEOUT, PAUSE),
)

# Faults after which nobody knows where the joint is.
POSITION_LOST = (ENCODER_JUMP, ENCODER_STUCK, WRONG_DIRECTION, SENSOR, HOMING_BLOCKED)

# The reaction by code, as the tick reads it.
REACTIONS = array("i", [0] + [reaction for _, reaction in TABLE])
