"""The benchmark: what digitspan does, and the same done by a peer, in turn on one machine.

One module a group of rows: `steps` (one training step), `population` (many networks at once),
`jobs` (batches, the figure, a solved run, long strings). `scaling` fits what a step costs.
"""
