"""The plain room: what each kernel computes, in short NumPy on logical (N, C, H, W) arrays.

No function here loops over the batch or over channels; loops over kernel offsets are few (9 for a 3x3) and leave the
formula visible. The other rooms are held against this one.
"""
