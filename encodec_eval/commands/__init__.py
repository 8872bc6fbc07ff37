"""The subcommands of `python -m encodec_eval`: each file of this folder is one, and is found by its name.

It has `add_arguments(parser)` and `main(arguments)`; the first line of its docstring says what it does.
"""
