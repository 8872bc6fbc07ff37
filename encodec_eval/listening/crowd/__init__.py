"""Listening tests that a crowd takes: settings, headphone checks, languages, the record of answers, exports."""
