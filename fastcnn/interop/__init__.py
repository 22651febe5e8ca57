"""Other libraries: their files, names and layouts of arrays."""
