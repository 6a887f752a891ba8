"""The kinds of failure: what happens to the arm, and how it is mended before the arm is used again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bedside.hil.rig import Rig
from bedside.link import frames, schema
from bedside.link.board import BoardLink
from bedside.link.scale import joint_message
from bedside.sim.board import DRIVE_FAULT, E_STOP, LOCAL_OFF
from bedside.sim.plant import Plant
from bedside.sim.run_loop import SimRunLoop

BOARD = "psm1-wrist"
# The switch that sabotage.py waits for.
SABOTAGE_NOW = 8
# The clock that boards see wraps at 2^30 us.
WRAP_TICK = 2**30 // 1000
# The wrist's first joint in the arm, and the one that carries weight.
JOINT, LOADED = 4, 2


@dataclass
class Failure:
    """A kind of failure. ``sabotage`` breaks the firmware itself; else ``inject`` breaks what is around it."""

    name: str
    inject: Callable[[Rig], None]
    mend: Callable[[Rig], None] = lambda rig: None
    sabotage: str = ""
    # The arm has a run loop.
    run_loop: bool = False
    # The boards have a console's key, and go only with its proof that a surgeon is there and sees.
    keyed: bool = False
    # Where the world's clock begins, in ticks.
    first_tick: int = 0
    # The arm does not have to stop.
    goes_on: bool = False


# ---- the bridge and its links ------------------------------------------------------------------


def kill_bridge(rig: Rig) -> None:
    rig.serving = False


def start_bridge(rig: Rig) -> None:
    rig.disconnect()
    rig.serving = True
    rig.connect()


def freeze_bridge(rig: Rig) -> None:
    """As SIGSTOP does for 300 ms; then it goes on where it was."""
    rig.serving = False
    rig.tick(300)
    rig.serving = True


def silence_console(rig: Rig) -> None:
    rig.commanding = False


def repeat_last_command(rig: Rig) -> None:
    """Let the bridge send its last command again and again, as new frames."""
    rig.commanding = False
    last = [
        (link, [schema.COMMAND, 0, rig.arm.operator_seq, *where])
        for link, where in zip(rig.arm.links, commanded(rig), strict=True)
    ]
    cycle = rig.arm.cycle

    def again(now_ns: int) -> None:
        for link, message in last:
            link.send(list(message))
        cycle(now_ns)

    rig.arm.cycle = again  # type: ignore[method-assign]


def stop_repeating(rig: Rig) -> None:
    del rig.arm.cycle


def commanded(rig: Rig) -> list[list[int]]:
    """Return each board's part of where the arm is, as a command says it."""
    feedback = rig.arm.feedback()
    setpoint = feedback.setpoint
    return [
        [round(1e6 * x) for index, _ in rig.cell.joints_of(slot.name) for x in (setpoint[index], 0.0)]
        for slot in rig.cell.board
    ]


def cut_cable(rig: Rig) -> None:
    """Let nothing pass on one board's line, in either direction."""
    rig.cut.add(BOARD)
    link_of(rig, BOARD).port.write = lambda data: None  # type: ignore[method-assign]


def restore_line(rig: Rig) -> None:
    rig.cut.clear()
    rig.lossy = False
    for link in rig.arm.links:
        link.port.__dict__.pop("write", None)
        # Ends what is left of a damaged frame, so that the next one is heard.
        link.port.write(b"\0")
    rig.forget()


def half_a_frame(rig: Rig) -> None:
    """Break the line off in the middle of a frame."""
    link = link_of(rig, BOARD)
    link.port.write(frames.encode([schema.KEEP_ALIVE, link.seq + 1])[:5])
    cut_cable(rig)


def lose_bytes(share: float) -> Callable[[Rig], None]:
    def inject(rig: Rig) -> None:
        rng = random.Random(1)
        rig.lossy = True
        for link in rig.arm.links:
            lossy(link, rng, share)

    return inject


def lossy(link: BoardLink, rng: random.Random, share: float) -> None:
    write = link.port.write
    link.port.write = lambda data: write(bytes(b for b in data if rng.random() >= share))  # type: ignore[method-assign]


def silence_then_backlog(ticks: int) -> Callable[[Rig], None]:
    """Let the network hold commands back, then deliver them all at once."""

    def inject(rig: Rig) -> None:
        command = rig.arm.command
        held: list[tuple[object, int]] = []
        rig.arm.command = lambda message, now_ns: held.append((message, now_ns))  # type: ignore[method-assign]
        rig.tick(ticks)
        del rig.arm.command
        for message, now_ns in held:
            try:
                command(message, now_ns)  # type: ignore[arg-type]
            except Exception as error:
                rig.told.append(str(error))
            rig.listen()

    return inject


def interrupt_bytes(rig: Rig) -> None:
    for link in rig.arm.links:
        link.port.write(b"\x03\x03\x04\x00")


def configure_while_moving(rig: Rig) -> None:
    joint = rig.cell.joint[JOINT]
    link_of(rig, BOARD).send(joint_message(joint, rig.world.tick_hz))


# ---- the surgeon, by the proof that boards ask for -------------------------------------------------


def command_without_surgeon(rig: Rig) -> None:
    """Let the bridge go on with sound commands of its own, as one would that was taken over."""
    rig.proving = False


def hoard_proof(rig: Rig) -> None:
    """Let the bridge pass on the same proof again and again, with sound commands."""
    rig.hoarded = rig.tokens()


def blind_surgeon(rig: Rig) -> None:
    """Let nothing of the arm reach the console, which commands and proves as before."""
    rig.seeing = False


def surgeon_returns(rig: Rig) -> None:
    rig.proving = rig.seeing = True
    rig.hoarded = None


# ---- the board ---------------------------------------------------------------------------------


def reset_board(rig: Rig) -> None:
    rig.boards[BOARD].kill()
    rig.tick(30)
    restart_board(rig)


def restart_board(rig: Rig) -> None:
    rig.boards[BOARD].switches = 0
    rig.lossy = False
    rig.boards[BOARD].start()
    rig.forget()


def sabotage(rig: Rig) -> None:
    """Let the firmware end in the way that it was started with."""
    rig.boards[BOARD].switches = SABOTAGE_NOW


def mute(rig: Rig) -> None:
    """Let the firmware break in a way in which it goes on without answering."""
    sabotage(rig)
    rig.lossy = True


def late_tick(rig: Rig) -> None:
    """Let 20 ms pass without a tick, on every board."""
    rig.world.ticks += 20


def supply(mv: int) -> Callable[[Rig], None]:
    def inject(rig: Rig) -> None:
        for board in rig.boards.values():
            board.supply_mv = mv

    return inject


def switch(bit: int) -> Callable[[Rig], None]:
    def inject(rig: Rig) -> None:
        rig.boards[BOARD].switches = bit

    return inject


# ---- encoders, motors, brakes ------------------------------------------------------------------


def bend(plant: Plant, reading: Callable[[int], int]) -> None:
    """Let an encoder read ``reading`` of its true count."""
    kind = type(plant)
    true = kind.count.fget  # type: ignore[attr-defined]
    plant.__class__ = type("Bent", (kind,), {"count": property(lambda self: reading(true(self)))})


def straighten(rig: Rig) -> None:
    for plant in rig.plants:
        plant.__class__ = Plant


def stick(rig: Rig) -> None:
    stuck = rig.plants[JOINT].count
    bend(rig.plants[JOINT], lambda _: stuck)


def jump(rig: Rig) -> None:
    bend(rig.plants[JOINT], lambda count: count + 5000)


def reverse(rig: Rig) -> None:
    turned_at = rig.plants[JOINT].count
    bend(rig.plants[JOINT], lambda count: 2 * turned_at - count)


def slip(rig: Rig) -> None:
    """Let the encoder's coupling slip: a tenth of the way from here on is not counted."""
    here = rig.plants[JOINT].count
    bend(rig.plants[JOINT], lambda count: count - (count - here) // 10)


def jam(rig: Rig) -> None:
    """Hold the joint fast."""
    rig.plants[JOINT].load.coulomb = 100.0
    rig.plants[JOINT].velocity = 0.0


def free(rig: Rig) -> None:
    rig.plants[JOINT].load.coulomb = 0.01


def stray(ma: int) -> Callable[[Rig], None]:
    def inject(rig: Rig) -> None:
        rig.boards[BOARD].stray_ma[0] = ma

    return inject


def brake_grips(newton: float, otherwise: Callable[[Rig], None]) -> Callable[[Rig], None]:
    """Let the loaded joint's brake hold with ``newton`` only, then do ``otherwise``."""

    def inject(rig: Rig) -> None:
        rig.plants[LOADED].load.brake = newton
        otherwise(rig)

    return inject


def mend_brake(rig: Rig) -> None:
    rig.plants[LOADED].load.brake = 30.0


def cut_loop(rig: Rig) -> None:
    loop_of(rig).cut = True


def mend_loop(rig: Rig) -> None:
    loop_of(rig).cut = False


def loop_of(rig: Rig) -> SimRunLoop:
    assert rig.world.run_loop
    return rig.world.run_loop


def link_of(rig: Rig, name: str) -> BoardLink:
    return rig.arm.links[[slot.name for slot in rig.cell.board].index(name)]


def failure(name: str) -> Failure:
    """Return the failure of that name."""
    return next(failure for failure in FAILURES if failure.name == name)


FAILURES = [
    Failure("bridge killed", kill_bridge, start_bridge),
    Failure("bridge frozen for 300 ms", freeze_bridge),
    Failure("bridge repeats its last command", repeat_last_command, stop_repeating),
    Failure("console silent", silence_console),
    Failure("network silent for 300 ms, then a backlog", silence_then_backlog(300)),
    Failure("network silent for 60 ms, then a backlog", silence_then_backlog(60), goes_on=True),
    Failure("one board's cable pulled", cut_cable, restore_line),
    Failure("half a frame, then nothing", half_a_frame, restore_line),
    Failure("1 % of all bytes lost", lose_bytes(0.01), restore_line, goes_on=True),
    Failure("10 % of all bytes lost", lose_bytes(0.1), restore_line),
    Failure("30 % of all bytes lost", lose_bytes(0.3), restore_line),
    Failure("interrupt bytes on the line", interrupt_bytes, goes_on=True),
    Failure("configured while moving", configure_while_moving, goes_on=True),
    Failure("clock wraps", lambda rig: None, first_tick=WRAP_TICK - 300, goes_on=True),
    Failure("clock wraps, console silent", silence_console, first_tick=WRAP_TICK - 200),
    Failure("exception in the tick", sabotage, sabotage="tick", mend=restart_board),
    Failure("exception in the background", sabotage, sabotage="background", mend=restart_board),
    Failure("heap full", sabotage, sabotage="memory", mend=restart_board),
    Failure("program ends", sabotage, sabotage="exit", mend=restart_board),
    Failure("background hangs", mute, sabotage="hang", mend=restart_board),
    Failure("timer stops", mute, sabotage="dead timer", mend=restart_board),
    Failure("background stops, ticks go on", mute, sabotage="dead background", mend=restart_board),
    Failure("collections without end", sabotage, sabotage="collections", goes_on=True),
    Failure("board reset", reset_board),
    Failure("ticks stand still for 20 ms", late_tick),
    Failure("supply sags", supply(15_000), supply(24_000)),
    Failure("supply surges", supply(33_000), supply(24_000)),
    Failure("emergency stop", switch(E_STOP), switch(0)),
    Failure("local switch opened", switch(LOCAL_OFF), switch(0)),
    Failure("drive reports a fault", switch(DRIVE_FAULT), switch(0)),
    Failure("short circuit in a motor", stray(5000), stray(0)),
    Failure("encoder stuck", stick, straighten),
    Failure("encoder jumps", jump, straighten),
    Failure("encoder reversed", reverse, straighten),
    Failure("encoder slips", slip, straighten),
    Failure("joint jammed", jam, free),
    Failure("brake slips, console silent", brake_grips(0.4, silence_console), mend_brake),
    Failure("brake does not close, console silent", brake_grips(0.0, silence_console), mend_brake),
    Failure("surgeon gone, bridge commands", command_without_surgeon, surgeon_returns, keyed=True),
    Failure("surgeon gone, bridge repeats proof", hoard_proof, surgeon_returns, keyed=True),
    Failure("surgeon sees nothing, commands", blind_surgeon, surgeon_returns, keyed=True),
    Failure("run loop cut", cut_loop, mend_loop, run_loop=True),
    Failure("run loop: bridge killed", kill_bridge, start_bridge, run_loop=True),
    Failure("run loop: one board's cable pulled", cut_cable, restore_line, run_loop=True),
    Failure("run loop: exception in the tick", sabotage, sabotage="tick", mend=restart_board, run_loop=True),
    Failure("run loop: board reset", reset_board, run_loop=True),
    Failure("run loop: emergency stop", switch(E_STOP), switch(0), run_loop=True),
    Failure("run loop: encoder stuck", stick, straighten, run_loop=True),
]
