"""The figures of Gatys et al. (2016), each a table of panels: which pictures, with which settings, under which labels.

`panels` states the tables, `progress` says which pictures of a figure are done, `sheet` draws them as one.
"""
