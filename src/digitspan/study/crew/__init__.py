"""Who trains the runs of a study: worker processes of this machine, or of a Ray cluster."""
