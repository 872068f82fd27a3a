"""Neural style transfer with every derivative written by hand.

from scratchnst import Objective, load_network, normalize, stylize

network = load_network()                                                           # or a file, or a name
objective = Objective(network, content=photo, styles=[painting], normalized=True)  # images (H, W, 3), 0-255
picture = stylize(objective, iterations=200).image
"""

from scratchnst.objective import Objective
from scratchnst.scales import scale_shapes, stylize_by_scales
from scratchnst.stylize import stylize
from scratchnst.weights.load import load_network
from scratchnst.weights.normalize import normalize

__all__ = ["Objective", "load_network", "normalize", "scale_shapes", "stylize", "stylize_by_scales"]
