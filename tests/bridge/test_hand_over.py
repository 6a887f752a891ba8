"""One pair of hands: mentor, trainee and the person beside the arm, with the real processes in real time."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from bedside.errors import SurgeonError
from bedside.surgeon.authority import BRIDGE, MENTOR, OBSERVER, SURGEON, TRAINEE
from bedside.surgeon.console import Console
from bedside.surgeon.credentials import load_credentials
from bedside.surgeon.motion import Weave
from bedside.surgeon.remote import Route
from real_arm import Site

pytestmark = [pytest.mark.real_time, pytest.mark.requirement("authority")]
ROLES = {"bridge": BRIDGE, "alice": SURGEON, "mia": MENTOR, "tom": TRAINEE, "olga": OBSERVER}
# As shares of a joint's speed limit: an arm that moves, and one that stands.
MOVES, STANDS = 0.05, 0.004


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    with contextlib.closing(Site(tmp_path, 36300 + os.getpid() % 1000, roles=ROLES, patient=True)) as site:
        site.until(lambda: site.world.ticks > 10, "boards up")
        bridge = site.start("bridge")
        assert bridge.stdout
        assert "listening on" in bridge.stdout.readline()
        yield site


@contextlib.asynccontextmanager
async def console(site: Site, name: str) -> AsyncIterator[Console]:
    credentials = load_credentials(site.directory / "keys" / name)
    async with Console.connect(credentials, Route(bridge=site.cell.arm.listen)) as arm:
        yield arm


async def weave(arm: Console) -> None:
    """Move until something ends it."""
    with contextlib.suppress(SurgeonError):
        motion = Weave(arm.joints, 60.0)
        await arm.move_jp(
            [min(max(at, j.position_min), j.position_max) for at, j in zip(motion.at(0.0)[0], arm.joints, strict=True)]
        )
        await arm.play(motion)


async def until(done: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    for _ in range(round(seconds / 0.005)):
        if done():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(what)


async def local(site: Site, *act: str) -> str:
    process = site.start("local", *act)
    out, _ = await asyncio.to_thread(process.communicate, timeout=20)
    assert process.returncode == 0, out
    return str(out)


async def stands(site: Site) -> list[float]:
    """Wait until the arm stands, and see that it stays; return where."""
    await until(lambda: site.speed() < STANDS, "standstill")
    places = [plant.position for plant in site.world.plants.values()]
    for _ in range(40):
        await asyncio.sleep(0.01)
        assert site.speed() < MOVES / 2, "it moves although nobody has taken it up"
    return places


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 100))  # type: ignore[arg-type]


def test_the_arm_goes_from_mentor_to_trainee_and_back_and_rests_at_each_change(site: Site) -> None:
    async def test() -> None:
        async with console(site, "mia") as mia, console(site, "tom") as tom:
            with pytest.raises(SurgeonError, match="not armed"):
                await mia.request()
            assert "armed" in await local(site, "arm")
            with pytest.raises(SurgeonError, match="a trainee is given the arm"):
                await tom.request()
            await mia.request()
            await mia.enable()
            motion = asyncio.create_task(weave(mia))
            await until(lambda: site.speed() > MOVES, "the mentor moves it")

            await mia.hand_over("tom")
            await motion
            before = await stands(site)
            with pytest.raises(SurgeonError, match="enable or resume it"):
                tom.servo_jp(tom.feedback.position)
            await tom.resume()
            after = [plant.position for plant in site.world.plants.values()]
            assert max(abs(b - a) for a, b in zip(before, after, strict=True)) < 0.02, "resuming moves nothing"
            motion = asyncio.create_task(weave(tom))
            await until(lambda: site.speed() > MOVES, "the trainee moves it")

            await mia.take_back()
            await motion
            await stands(site)
            await mia.resume()
            motion = asyncio.create_task(weave(mia))
            await until(lambda: site.speed() > MOVES, "the mentor moves it again")

            assert "stopped and off" in await local(site, "stop")
            await motion
            await stands(site)
            assert all(plant.brake_closed for plant in site.world.plants.values())
            for who in (mia, tom):
                with pytest.raises(SurgeonError, match="not armed"):
                    await who.request()

    run(test)


def test_an_observer_and_one_who_does_not_have_the_arm_see_and_never_move_it(site: Site) -> None:
    async def test() -> None:
        async with console(site, "alice") as alice, console(site, "olga") as olga, console(site, "mia") as mia:
            await local(site, "arm")
            await alice.request()
            await alice.enable()
            motion = asyncio.create_task(weave(alice))
            await until(lambda: site.speed() > MOVES, "the surgeon moves it")
            await until(lambda: olga.operating_state().state == "ENABLED", "the observer sees it")
            for intruder in (olga, mia):
                for _ in range(50):
                    intruder.link.servo_jp([0.0] * 7, [0.0] * 7)
            for command in ("enable", "disable", "pause", "resume"):
                seq = olga.link.state_command(command, 200.0)
                await until(lambda seq=seq: bool(olga.link.refusal_of(seq)), "an answer")
                assert "observer" in olga.link.refusal_of(seq)
                await asyncio.sleep(0.3)
            for command in ("clear", "home", "unhome", "release_brakes"):
                seq = alice.link.state_command(command)
                await until(lambda seq=seq: bool(alice.link.refusal_of(seq)), "an answer")
                assert "beside the arm" in alice.link.refusal_of(seq) or "switch on the arm" in alice.link.refusal_of(
                    seq
                )
            assert alice.operating_state().state == "ENABLED"
            assert site.speed() > STANDS
            motion.cancel()

    run(test)


def test_local_take_back_pauses_and_the_arm_is_nobodys(site: Site) -> None:
    async def test() -> None:
        async with console(site, "alice") as alice:
            await local(site, "arm")
            await alice.request()
            await alice.enable()
            motion = asyncio.create_task(weave(alice))
            await until(lambda: site.speed() > MOVES, "the surgeon moves it")
            assert "in nobody's hands" in await local(site, "take-back")
            await motion
            await stands(site)
            assert not alice.has_arm
            with pytest.raises(SurgeonError, match=r"nobody has the arm|not armed"):
                await alice.resume()

    run(test)
