"""minicnn held against PyTorch. ``make check`` installs torch; without it every file here is skipped."""
