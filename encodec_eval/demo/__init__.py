"""What the app shows and keeps for a visitor; only `app.py` uses it."""
