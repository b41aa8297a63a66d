"""The benchmark: what digitspan does, and the same done by a peer, in turn on one machine.

One module a group of rows, each with `rows(effort)`: `steps` (one training step), `many` (many
networks at once), `tasks` (batches, the figure, a solved run, long strings). `scaling` fits what a
step costs against T, n, batch and R.
"""
