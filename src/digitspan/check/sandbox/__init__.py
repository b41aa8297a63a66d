"""The child process in which a hand-in's code runs, and how the checker talks to it."""
