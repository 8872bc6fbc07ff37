"""The Transformer language model over codes, and its two ways of giving a coder probabilities."""

TOTAL_BITS = 24
TOTAL = 1 << TOTAL_BITS  # the shares of all codes add up to at most this
