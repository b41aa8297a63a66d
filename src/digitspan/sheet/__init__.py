"""The exercise sheet as data: its questions, and what a hand-in is called."""
