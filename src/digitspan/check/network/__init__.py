"""Which equations a network computes, found out from its answers alone; NumPy, no torch."""
