"""Frames, CBOR and messages as protocol.cddl defines them."""
