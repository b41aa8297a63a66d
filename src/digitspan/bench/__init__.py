"""The benchmark: digitspan beside its peers, in turn on one machine.

One module a group of rows, each with `rows(effort)`: `steps` (one training step), `population`
(many networks at once), `jobs` (batches, the figure, a solved run, long strings). `scaling` fits
what a step costs against T, n, batch and R.
"""
