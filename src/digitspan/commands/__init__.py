"""The commands, one file each: `add_options(parser)` and `run(options) -> exit status`."""
