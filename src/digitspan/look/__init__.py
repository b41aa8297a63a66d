"""Looks inside a network: trace, gradients, page, why it was not solved."""
