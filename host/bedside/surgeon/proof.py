"""The console's half of the proof that a surgeon is there and sees: keys, tokens for boards, witnesses of boards.

``firmware/wire/protocol.cddl`` says what is signed (``prove``, ``witness``). A token says that its console has seen
what the board signed at its tick ``stamp``; the bridge passes both on and can make neither.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from bedside.errors import SurgeonError

KEY_BYTES = 16
ONLY_ASK = -1
_TICK_MASK = 0x3FFFFFFF
# What is further off than this lies behind, not ahead: ticks wrap.
_HALF = 0x20000000
_TICK_HZ = 1000
_JOINTS_MAX = 8
_HEAD = 8  # of a witness, from the nonce to the MAC
# How much faster than the console's a board's clock may run, which is ten times what two crystals are apart; and how
# much sooner than the first witness a later one may be here, which is as long as the first may have been on its way.
_DRIFT = 0.002
_SOONER_S = 1.0


def cmac(key: bytes, data: bytes) -> bytes:
    """Return the AES-CMAC (RFC 4493) of ``data``."""
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


def board_key(console_key: bytes, role: str) -> bytes:
    """Return the key that a console with ``console_key`` shares with the board whose role is ``role``, ARM/BOARD."""
    return cmac(console_key, role.encode())


def key_id(key: bytes) -> int:
    """Return by which number a board knows a ``board_key``, the first 31 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(key).digest()[:4], "big") >> 1


def key_file(role: str, console_keys: Mapping[str, bytes]) -> str:
    """Return the keys.json of the board whose role is ``role``: what it shares with each console, by name."""
    keys = [{"console": name, "key": board_key(key, role).hex()} for name, key in sorted(console_keys.items())]
    return json.dumps({"keys": keys})


@dataclass(frozen=True)
class Witness:
    """What a board has signed: its state, phase and cause at ``tick``, and its joints' positions in urad (um).

    ``is_proven`` says that its newest proof is young enough to let it move.
    """

    tick: int
    is_proven: bool
    state: int
    phase: int
    cause: int
    positions: list[int]


@dataclass
class _Board:
    """What is known of a board: its present nonce, the newest tick, and when the first one with this nonce was here."""

    role: str
    key: bytes
    tick_hz: int
    nonce: tuple[int, int] | None = None
    stamp: int = 0
    first_tick: int = 0
    first_s: float = 0.0
    past: set[tuple[int, int]] = field(default_factory=set)


class Prover:
    """Makes tokens for an arm's boards, whose roles (ARM/BOARD) are ``roles``, and verifies what they witness.

    ``tick_hz`` are the boards' tick rates, 1000 each if not given; ``clock`` gives monotonic seconds.
    """

    def __init__(
        self,
        console_key: bytes,
        roles: list[str],
        tick_hz: list[int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        rates = tick_hz or [_TICK_HZ] * len(roles)
        self._boards = [
            _Board(role, board_key(console_key, role), rate) for role, rate in zip(roles, rates, strict=True)
        ]
        self._clock = clock

    def ask(self, board: int) -> list[int]:
        """Return the fields, from key_id on, of a ``prove`` message that proves nothing and asks for a witness."""
        return [key_id(self._boards[board].key), ONLY_ASK, 0, 0, 0, 0, 0]

    def token(self, board: int, operator_seq: int) -> list[int] | None:
        """Return the fields, from key_id on, of a ``prove`` message; None until a witness of ``board`` was verified."""
        known = self._boards[board]
        if known.nonce is None:
            return None
        mac = cmac(known.key, struct.pack(">4I", *known.nonce, known.stamp, operator_seq))
        return [key_id(known.key), known.stamp, operator_seq, *struct.unpack(">4i", mac)]

    def witness(self, board: int, fields: list[int]) -> Witness:
        """Return what ``board`` has witnessed, and let tokens stand on it.

        ``fields`` are the message's from the nonce on, however they came: they need not be sound.
        Raises SurgeonError for what the board has not signed, what is older than what was seen of it before, and ticks
        that are further on than this console's clock allows: a token must never be good for longer than it says.
        """
        known = self._boards[board]
        nonce, tick, word = self._verified(known, fields)
        now_s = self._clock()
        if nonce in known.past:
            raise SurgeonError(
                f"{known.role}: a witness from before the board was last off came again; the bridge repeats old ones"
            )
        if nonce == known.nonce:
            if (tick - known.stamp) & _TICK_MASK >= _HALF:
                raise SurgeonError(
                    f"{known.role}: a witness of tick {tick} came behind that of tick {known.stamp}; older ones are "
                    "dropped"
                )
            self._check_rate(known, tick, now_s)
        else:
            if known.nonce:
                known.past.add(known.nonce)
            known.nonce = nonce
            known.first_tick, known.first_s = tick, now_s
        known.stamp = tick
        return Witness(tick, bool(word >> 28), word >> 24 & 3, word >> 16 & 0xFF, word & 0xFFFF, fields[_HEAD:])

    def _verified(self, known: _Board, fields: list[int]) -> tuple[tuple[int, int], int, int]:
        """Return nonce, tick and word, which the board has signed. Raises SurgeonError."""
        try:
            if not _HEAD < len(fields) <= _HEAD + _JOINTS_MAX:
                raise ValueError("too few or too many fields")
            nonce_hi, nonce_lo, tick, word = fields[:4]
            if not 0 <= word < 1 << 31:
                raise ValueError("the highest bit is the signature's own")
            signed = struct.pack(">4I", nonce_hi, nonce_lo, tick, 1 << 31 | word)
            signed += struct.pack(f">{len(fields) - _HEAD}i", *fields[_HEAD:])
            mac = struct.pack(">4i", *fields[4:_HEAD])
            verifier = CMAC(AES(known.key))
            verifier.update(signed)
            verifier.verify(mac)
        except (struct.error, InvalidSignature, ValueError, TypeError):
            raise SurgeonError(
                f"{known.role}: a witness that the board has not signed with this console's key; the board has another "
                "key, or somebody changes what it says"
            ) from None
        return (nonce_hi, nonce_lo), tick, word

    def _check_rate(self, known: _Board, tick: int, now_s: float) -> None:
        elapsed_s = now_s - known.first_s
        ticked_s = ((tick - known.first_tick) & _TICK_MASK) / known.tick_hz
        if ticked_s > elapsed_s * (1 + _DRIFT) + _SOONER_S:
            # Whatever it is, nothing stands on it; the next witness is the first one again.
            known.nonce = None
            raise SurgeonError(
                f"{known.role}: {ticked_s:.1f} s of ticks at {known.tick_hz} Hz came in {elapsed_s:.1f} s; a clock is "
                "wrong, or a witness was kept back for longer than a second"
            )
