"""The systems under test. A new one is a class that answers `encodec_eval.types.System`."""

from encodec_eval.systems.anchors import Identity, Lowpass, lowpass
from encodec_eval.systems.classical import Mp3, Opus
from encodec_eval.systems.encodec import Encodec
from encodec_eval.systems.folder import DecodedFolder
from encodec_eval.systems.tokenizers import Tokenizer

__all__ = ["DecodedFolder", "Encodec", "Identity", "Lowpass", "Mp3", "Opus", "Tokenizer", "lowpass"]
