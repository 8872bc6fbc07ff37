"""What this package raises when the caller's data is wrong. Every message says what was given and what is expected."""

import reprlib

_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxother = 80
_shortener.maxlist = _shortener.maxtuple = 8


class CodecError(ValueError):
    """Base of every error a caller of this package may want to catch and show."""


class AudioError(CodecError):
    """A file or an array is not audio this project can use."""


class CheckpointError(CodecError):
    """A model is unknown, cannot be had, or its files are damaged or do not fit."""


class EcdcError(CodecError):
    """An `.ecdc` file is damaged, hostile, or needs a model other than the one given."""


def short(value: object) -> str:
    """A value from outside as it may stand in a message: one line of at most a few hundred characters."""
    return _shortener.repr(value)
