"""The figures of Gatys et al. (2016), each a table of panels: which pictures, with which settings, under which labels.

`panels` states the tables, `sheet` draws the pictures as one, `progress` writes the record.  `sweep` makes such a table
of the values of any settings.
"""
