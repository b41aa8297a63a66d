"""The hand-in: the answers to the sheet's questions, out of a finished study, as one ZIP."""
