"""What the lessons in the folder `lessons` share, and what shows, checks and converts them.

Lessons import from here what their text does not explain: pictures, a network, and rows of images.
"""

from scratchnst.classroom.setting import full_size, network, pictures, show_images

__all__ = ["full_size", "network", "pictures", "show_images"]
