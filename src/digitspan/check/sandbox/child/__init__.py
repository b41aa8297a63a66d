"""What runs in the child process, beside the hand-in's own code: it answers with numbers only.

These files import torch, numpy and the standard library, nothing of digitspan: the reference
equations and the answers stay in the parent. They are copied to where the child can read them.
"""
