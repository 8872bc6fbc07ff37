"""What can happen to coded audio between encoder and decoder: `--through`.

`spec` reads the option, `line` says what happens to packets, `through` puts both around a system, `delay` measures how
far a system must look ahead.
"""
