"""Listening tests after ITU-R BS.1534 (MUSHRA), from a codec to a figure."""
