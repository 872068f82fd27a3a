"""Distillation: a small network learns to see what a large one sees, by our own backward.

`student` is the small network, `lessons_of` what it is to learn, `crops` the pictures, `training` puts them together.
"""
