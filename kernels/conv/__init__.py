"""Convolution: a file for each algorithm, as in fastcnn/functional/conv, and the products that they share."""
