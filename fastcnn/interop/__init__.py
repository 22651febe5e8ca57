"""Interoperation with other libraries and their files: a module for each."""
