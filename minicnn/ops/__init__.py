"""The differentiable operations, one file per concept; an operation's forward and backward stand on one screen.

Each file holds Functions (arrays in, arrays out) and, below them, what the reader calls: a function on tensors that
checks its arguments, says what is wrong with them, and applies the Function registered under its name (see
:mod:`.registry`).
"""
