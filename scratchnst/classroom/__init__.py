"""What the lessons in the folder `lessons` share, and what leads through them.

A lesson imports from here what would distract in its text: pictures, a network, and rows of images.
"""

from scratchnst.classroom.setting import full_size, network, pictures, show_images

__all__ = ["full_size", "network", "pictures", "show_images"]
