"""Proof that a surgeon is there and sees: consoles' tokens, and the witnesses that the board signs for them.

A console signs with a key that the bridge does not have, so the bridge can pass a token on but not make one, and cannot
show a surgeon another arm than there is. ``wire/protocol.cddl`` says what is signed. All of it is background work. It
allocates nothing once it is built, but for a new nonce, which a board makes while it is off.
"""

import json
from array import array
from hashlib import sha256

import micropython
from micropython import const

try:
    from os import urandom

    from cryptolib import aes
except ImportError:
    aes = None  # type: ignore[assignment,misc]

# Why keys cannot be used, as a refusal tells.
DAMAGED = 1
NO_CIPHER = 2

KEYS_MAX = 8
_KEY_BYTES = 16
_ECB = const(1)
_ENOENT = const(2)
_NONE = const(-1)

_STATE = const(0)
_PHASE = const(1)
_CAUSE = const(2)
_TICK = const(3)
_LINK_SEQ = const(7)
_JOINTS = const(36)
_REFUSAL_CHANNEL = const(40)
_REFUSAL_VALUE = const(41)
_PROOF_AGE = const(68)
_PROOF_TIMEOUT = const(69)
_PROOF_MAX_AGE = const(70)
_POSITION = const(2)
_RECORD_BYTES = const(320)
_REFUSED_PROOF_KEY = const(53)
_REFUSED_PROOF_WRONG = const(54)
_REFUSED_PROOF_STALE = const(55)
_MESSAGE_WITNESS = const(21)
_WITNESS_HEAD = const(10)
# Fields of the two messages.
_KEY_ID = const(2)
_STAMP = const(3)
_SEQUENCE = const(4)
_PROVE_MAC = const(5)
_NONCE = const(2)
_WITNESS_MAC = const(6)
# Ticks wrap: what is further off than half of their range lies in the future.
_TICK_MASK = const(0x3FFFFFFF)
_HALF = const(0x20000000)
_BLOCK = const(16)
# A witness of eight joints.
_DATA_MAX = const(48)


def _doubled(block: bytes) -> bytes:
    """Return ``block`` times x in RFC 4493's field of 2^128."""
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = number ^ (1 << 128) ^ 0x87
    return number.to_bytes(_BLOCK, "big")


def subkeys(cipher) -> bytes:
    """Return both of RFC 4493's subkeys of an AES ``cipher``, one behind the other."""
    first = _doubled(cipher.encrypt(bytes(_BLOCK)))
    return first + _doubled(first)


@micropython.viper
def cmac(cipher, keys, data, size: int, block, mac):
    """Put the AES-CMAC (RFC 4493) of ``data[:size]`` into ``mac``.

    ``keys`` are the ``subkeys`` of ``cipher``; ``block`` and ``mac`` have 16 bytes.
    """
    k = ptr8(keys)
    d = ptr8(data)
    x = ptr8(block)
    m = ptr8(mac)
    i = 0
    while i < _BLOCK:
        m[i] = 0
        i += 1
    while True:
        i = 0
        if size > _BLOCK:
            while i < _BLOCK:
                x[i] = m[i] ^ d[i]
                i += 1
        else:
            if size < _BLOCK:
                k = ptr8(int(k) + _BLOCK)
            while i < _BLOCK:
                byte = 0
                if i < size:
                    byte = d[i]
                elif i == size:
                    byte = 0x80
                x[i] = m[i] ^ byte ^ k[i]
                i += 1
        cipher.encrypt(block, mac)
        size -= _BLOCK
        if size <= 0:
            return
        d = ptr8(int(d) + _BLOCK)


@micropython.viper
def _put(data: ptr8, at: int, words: ptr32, first: int, count: int):
    """Write ``words[first : first + count]`` to ``data`` from ``at`` on, big-endian.

    They come in an array: a call with a number beyond 31 bits allocates it.
    """
    data = ptr8(int(data) + at)
    words = ptr32(int(words) + 4 * first)
    while count:
        word = words[0]
        data[0] = word >> 24
        data[1] = word >> 16
        data[2] = word >> 8
        data[3] = word
        data = ptr8(int(data) + 4)
        words = ptr32(int(words) + 4)
        count -= 1


class Proof:
    """The consoles' ``keys``, of which the board has none, or up to eight, and what it knows of each.

    ``fault`` says why there are keys that cannot be used, 0 if there are not. ``is_used`` says that the board was
    enabled with its present nonce.
    """

    def __init__(self, keys: "list[bytes]", fault: int = 0) -> None:
        self.fault = fault
        self.ids = array("i", [int.from_bytes(sha256(key).digest()[:4], "big") >> 1 for key in keys])
        self._ciphers = [aes(key, _ECB) for key in keys]
        self._subkeys = [subkeys(cipher) for cipher in self._ciphers]
        self._nonce = array("i", [0, 0])
        # Of each key the stamp and the operator sequence of the newest token with this nonce.
        self._newest = array("i", [0] * (2 * len(keys)))
        self._data = bytearray(_DATA_MAX)
        self._block = bytearray(_BLOCK)
        self._mac = bytearray(_BLOCK)
        self.is_used = False
        self.renew()

    @property
    def is_needed(self) -> bool:
        """Whether the board may only move with proof."""
        return bool(self.fault or self.ids)

    def renew(self) -> None:
        """Make a new nonce: no token that was made before counts any more."""
        self.is_used = False
        if self.ids:
            random = urandom(8)
            for k in range(2):
                self._nonce[k] = int.from_bytes(random[4 * k : 4 * k + 4], "big") & 0x7FFFFFFF
        for k in range(len(self._newest)):
            self._newest[k] = _NONE

    def begin_anew(self) -> None:
        """Let consoles number from the beginning; every token that was made until now remains old by its stamp."""
        for k in range(0, len(self._newest), 2):
            if self._newest[k] != _NONE:
                self._newest[k] = self._newest[k] + 1 & _TICK_MASK
            self._newest[k + 1] = _NONE

    @micropython.viper
    def slot_of(self, message) -> int:
        """Return which key a prove ``message`` names, or -1 for none of them."""
        ids = ptr32(self.ids)
        wanted = ptr32(message)[_KEY_ID]
        k = int(len(self.ids))
        while k:
            k -= 1
            if ids[k] == wanted:
                return k
        return 0 - 1

    @micropython.viper
    def take(self, records, message, slot: int) -> int:
        """Take the token in a prove ``message`` of the key in ``slot``; return 0, or why it feeds nothing.

        A refusal's channel and value stand in REFUSAL_CHANNEL and REFUSAL_VALUE.
        """
        s = int(1) << 31
        b = ptr32(records)
        m = ptr32(message)
        b[_REFUSAL_CHANNEL] = 0 - 1
        if slot < 0:
            b[_REFUSAL_VALUE] = int(len(self.ids))
            return _REFUSED_PROOF_KEY
        stamp = (m[_STAMP] ^ s) - s
        if stamp < 0:
            return 0
        data = self._data
        _put(data, 0, self._nonce, 0, 2)
        _put(data, 8, message, _STAMP, 2)
        cmac(self._ciphers[slot], self._subkeys[slot], data, _BLOCK, self._block, self._mac)
        mac = ptr8(self._mac)
        # To the end, whatever differs: the time that it takes tells nothing.
        wrong = 0
        k = 0
        while k < _BLOCK:
            wrong = wrong | (mac[k] ^ ((m[_PROVE_MAC + (k >> 2)] >> (24 - 8 * (k & 3))) & 255))
            k += 1
        if wrong:
            b[_REFUSAL_VALUE] = slot
            return _REFUSED_PROOF_WRONG
        newest = ptr32(self._newest)
        sequence = m[_SEQUENCE]
        last = (newest[2 * slot] ^ s) - s
        age = (b[_TICK] - stamp) & _TICK_MASK
        stale = 0
        if age >= b[_PROOF_MAX_AGE] or sequence <= (newest[2 * slot + 1] ^ s) - s:
            stale = 1
        if last >= 0 and (stamp - last) & _TICK_MASK >= _HALF:
            stale = 1
        if stale:
            if age >= _HALF:
                age = age - _TICK_MASK - 1
            b[_REFUSAL_VALUE] = age
            return _REFUSED_PROOF_STALE
        newest[2 * slot] = stamp
        newest[2 * slot + 1] = sequence
        b[_PROOF_AGE] = 0
        return 0

    @micropython.viper
    def report(self, records, reply, slot: int) -> int:
        """Fill the witness ``reply`` for the key in ``slot``; return the number of its fields."""
        j = ptr32(records)
        r = ptr32(reply)
        data = self._data
        nonce = ptr32(self._nonce)
        r[0] = _MESSAGE_WITNESS
        r[1] = j[_LINK_SEQ]
        r[2] = nonce[0]
        r[3] = nonce[1]
        r[4] = j[_TICK]
        proven = 0
        if j[_PROOF_AGE] <= j[_PROOF_TIMEOUT]:
            proven = 1
        r[5] = proven << 28 | j[_STATE] << 24 | j[_PHASE] << 16 | j[_CAUSE]
        _put(data, 0, reply, _NONCE, 4)
        bytes_ = ptr8(data)
        # No token has this bit, so that none can be had as a witness.
        bytes_[12] = bytes_[12] | 0x80
        n = j[_JOINTS]
        k = 0
        while k < n:
            j = ptr32(int(j) + _RECORD_BYTES)
            r[_WITNESS_HEAD + k] = j[_POSITION]
            k += 1
        _put(data, _BLOCK, reply, _WITNESS_HEAD, n)
        cmac(self._ciphers[slot], self._subkeys[slot], data, _BLOCK + 4 * n, self._block, self._mac)
        mac = ptr8(self._mac)
        k = 0
        while k < 4:
            high = (mac[0] ^ 0x80) - 0x80
            r[_WITNESS_MAC + k] = (high << 24) | (mac[1] << 16) | (mac[2] << 8) | mac[3]
            mac = ptr8(int(mac) + 4)
            k += 1
        return _WITNESS_HEAD + n


def proof_at(path: str) -> Proof:
    """Return what the keys in the file at ``path`` prove; without the file there are none.

    ``{"keys": [{"console": NAME, "key": 32 hexadecimal digits}, ...]}``, one to eight. A file that is there and is not
    so must not make a board that asks for no proof.
    """
    try:
        with open(path) as file:
            keys = [bytes.fromhex(entry["key"]) for entry in json.load(file)["keys"]]
    except Exception as error:
        is_missing = isinstance(error, OSError) and error.errno == _ENOENT
        return Proof([], 0 if is_missing else DAMAGED)
    if not 1 <= len(keys) <= KEYS_MAX or any([len(key) != _KEY_BYTES for key in keys]):
        return Proof([], DAMAGED)
    return Proof([], NO_CIPHER) if aes is None else Proof(keys)
