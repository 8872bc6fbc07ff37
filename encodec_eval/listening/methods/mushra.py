"""MUSHRA, ITU-R BS.1534-3, as `encodec_eval.mushra` makes and analyses it; here only its scale and valid answers."""

from encodec_eval.listening.methods.base import Method


class Mushra(Method):
    name = "mushra"
    title = "MUSHRA"
    standard = "ITU-R BS.1534-3"
    measure = "MUSHRA score"
    low, high = 0, 100
