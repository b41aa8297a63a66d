"""The commands, one file each, with `add_options(parser)` and `run(options)`."""
