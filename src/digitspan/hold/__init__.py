"""The holding span: how long trained networks keep a digit."""
