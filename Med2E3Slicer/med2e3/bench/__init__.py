"""How fast the engine is: each stage beside the machine's own limit, and beside the released way.

===================  =======================================================================
``limits``           what the machine can do at best: matrix throughput, memory bandwidth
``full_size``        a checkpoint of random weights in the released dimensions
``released_way``     a question answered as the released code does it
``measuring``        both ways in turn, several times, and what comes of it
``table``            the figures as a table
===================  =======================================================================
"""
