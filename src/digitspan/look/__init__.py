"""What goes on inside a network: its trace, its gradients, why it was not solved, its page."""
