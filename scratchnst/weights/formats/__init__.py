"""Readers of weights files, one module a format.

A reader of VGG is a module with NAME, the name of the format; ``recognises(path)``, which reads no more than a file's
beginning or its names; and ``read(path)``, which returns a `FileWeights`.  `hdf5` reads
HDF5 in a process that can be ended; `keras` and `native`, which reads and writes our own layout for any network, are
given what it finds.  `unknown` says what a file is that no reader knows.  No reader executes what is in a file, follows
a link to another file, or uses a declared size unchecked.
"""
