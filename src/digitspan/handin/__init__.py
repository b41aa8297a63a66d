"""The hand-in, one ZIP: the sheet's questions answered from a finished study."""
