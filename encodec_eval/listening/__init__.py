"""Listening tests of several methods, and what a crowd needs to take them."""
