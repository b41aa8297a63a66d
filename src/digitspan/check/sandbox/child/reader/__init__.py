"""What reads a hand-in in a child process of its own: archives, Python, notebooks, PDFs.

These files import no torch, and nothing of digitspan: what they read may be hostile, and what they
tell is data that the checker looks over.
"""
