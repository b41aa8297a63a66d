"""The module of the cells `quick:NAME`, which nobody imports: quick_worker makes up their runs."""
