"""Readers of weights files, a module a format, and what they share.

A reader of VGG is a module with NAME, what to call the format; ``recognises(path)``, which looks at no more than a
file's beginning or its names; and ``read(path)``, which returns a `Holding`.  `native` reads and writes our own layout,
any network.  No reader executes what is in a file, follows it to another file, or believes what it declares unchecked.
"""
