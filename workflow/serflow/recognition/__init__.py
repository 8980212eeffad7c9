"""Trained systems in use: recordings in, emotions out.

recogniser.py    a system, or all its folds and seeds together: segments of audio of any length, each with its emotion
annotations.py   what was heard, as tables and tracks of labels
trained.py       the systems of results/, and the best of them
command.py       `serflow predict`
"""
