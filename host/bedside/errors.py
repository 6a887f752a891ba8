"""Errors that a person can act on."""


class BedsideError(Exception):
    """Something went wrong outside our code. The message says what, and what to do about it."""


class CellError(BedsideError):
    """A cell, board or plant file does not make sense."""


class LinkError(BedsideError):
    """A board or its port does not answer as it should."""


class NoPortError(LinkError):
    """There is no such port, or nothing at its address: no cable, no power, no server."""


class SurgeonError(BedsideError):
    """The network side was told something that it must refuse."""


class FlashError(BedsideError):
    """A board cannot be flashed, or what is to be flashed is not right."""
