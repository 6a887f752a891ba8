"""MicroPython's ``cryptolib`` for firmware modules under CPython: AES in ECB, by the library that the host uses."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class aes:  # noqa: N801
    """A cipher; ``mode`` 1 is ECB."""

    def __init__(self, key: bytes, mode: int) -> None:
        assert mode == 1
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())

    def encrypt(self, data: bytes | bytearray, out: bytearray | None = None) -> bytes:
        """Encrypt whole blocks, into ``out`` if it is given."""
        encrypted = self._cipher.encryptor().update(bytes(data))
        if out is not None:
            out[: len(encrypted)] = encrypted
        return encrypted
