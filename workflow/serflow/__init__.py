"""Leak-free comparison of speech emotion recognition methods, from a folder of audio to a table."""

__version__ = "0.1.0"
