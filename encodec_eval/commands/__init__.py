"""The subcommands of `python -m encodec_eval`: each file has `add_arguments(parser)` and `main(arguments)`."""
