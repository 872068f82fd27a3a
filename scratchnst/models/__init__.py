"""Networks: kinds of layers, the table that a network is, VGG and smaller networks, and what is known of a table."""
